static __device__ inline float bilevel_sigmoid_f32(float x) {
    float e = expf(x < 0 ? x : -x); return (x < 0 ? e : 1) / (1 + e);
}

static __device__ inline float bilevel_softplus_f32(float x) {
    return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x));
}

static __device__ inline float bilevel_powi_minus_3_f32(float x) {
    const float x2 = x * x; return 1 / (x * x2);
}

static __device__ inline float bilevel_relu_f32(float x) {
    return x < 0 ? 0 : x;
}

extern "C" __global__ void activations(
    const float *__restrict__ x,
    const float *__restrict__ double_2,
    float i_2,
    float *__restrict__ a_out,
    float *__restrict__ b_out,
    float *__restrict__ c_out,
    unsigned long long n)
{
    const float top = __int_as_float(0xff800000);
    const unsigned long long stride = (unsigned long long)gridDim.x * blockDim.x;
    for (unsigned long long i = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        const float a = bilevel_sigmoid_f32(x[i]);
        const float exp_2 = expf(double_2[i]);
        const float soft = bilevel_softplus_f32(exp_2);
        const float cube = bilevel_powi_minus_3_f32(soft);
        const float b = 0.1f * cube;
        const bool t1 = top < x[i];
        const float t2 = bilevel_relu_f32(x[i]);
        const float c = t1 ? t2 : i_2;
        a_out[i] = a;
        b_out[i] = b;
        c_out[i] = c;
    }
}
