// Just enough of CUDA for a C++ compiler to take emitted kernels as they are and run them on the CPU, one thread after the other.
#pragma once

#include <cmath>
#include <cstring>

#define __global__
#define __device__

struct Index {
    unsigned x, y, z;
};

static Index blockIdx, threadIdx, blockDim, gridDim;

static inline double __longlong_as_double(long long bits) {
    double x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float __int_as_float(int bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

// Runs `kernel` for every thread of a grid.
template <typename Kernel>
static void launch(unsigned blocks, unsigned threads, Kernel kernel) {
    gridDim = {blocks, 1, 1};
    blockDim = {threads, 1, 1};
    for (unsigned block = 0; block < blocks; ++block) {
        for (unsigned thread = 0; thread < threads; ++thread) {
            blockIdx = {block, 0, 0};
            threadIdx = {thread, 0, 0};
            kernel();
        }
    }
}
