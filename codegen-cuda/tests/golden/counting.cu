static __device__ inline long long bilevel_f64_to_i64(double x) {
    return x != x ? 0 : x < -9223372036854775808.0 ? -9223372036854775807LL - 1 : x >= 9223372036854775808.0 ? 9223372036854775807LL : (long long)x;
}

extern "C" __global__ void counting(
    const unsigned long long *__restrict__ label,
    const double *__restrict__ weight,
    const bool *__restrict__ mask,
    unsigned long long class_2,
    bool *__restrict__ hit_out,
    long long *__restrict__ index_out,
    double *__restrict__ share_out,
    unsigned long long n)
{
    const unsigned long long stride = (unsigned long long)gridDim.x * blockDim.x;
    for (unsigned long long i = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        const bool t1 = label[i] == class_2;
        const bool hit = t1 && mask[i];
        const long long t2 = bilevel_f64_to_i64(weight[i]);
        const long long index = t2 * (-2LL);
        const double t3 = (double)hit;
        const double share = t3 * weight[i];
        hit_out[i] = hit;
        index_out[i] = index;
        share_out[i] = share;
    }
}
