extern "C" __global__ void penalty_gradient(
    const double *__restrict__ w,
    const double *__restrict__ log_l2,
    const double *__restrict__ data_bar,
    double rate,
    double *__restrict__ w_bar_out,
    double *__restrict__ log_l2_bar_out,
    double *__restrict__ next_out,
    unsigned long long n)
{
    const double half = 0.5;
    const double step = -rate;
    const unsigned long long stride = (unsigned long long)gridDim.x * blockDim.x;
    for (unsigned long long i = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        const double e = exp(log_l2[i]);
        const double t1 = e * w[i];
        const double w_bar = data_bar[i] + t1;
        const double t2 = t1 * w[i];
        const double log_l2_bar = half * t2;
        const double t3 = step * w_bar;
        const double next = w[i] + t3;
        w_bar_out[i] = w_bar;
        log_l2_bar_out[i] = log_l2_bar;
        next_out[i] = next;
    }
}
