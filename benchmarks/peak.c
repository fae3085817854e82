/* What the machine can do at most: multiply-adds on registers alone, twelve chains that do not wait for each other. */

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

enum { CHAINS = 12 };

typedef float vector __attribute__((vector_size(4 * LANES)));

/* Operations of one repetition. */
int operations(void) { return 2 * LANES * CHAINS; }

double multiply_add(long repeats) {
    vector sum[CHAINS];
    vector factor = (vector){0} + 0.999f, term = (vector){0} + 0.001f;
    for (int chain = 0; chain < CHAINS; ++chain) sum[chain] = (vector){0} + (float)chain;
    for (long repeat = 0; repeat < repeats; ++repeat)
#pragma GCC unroll 12
        for (int chain = 0; chain < CHAINS; ++chain) sum[chain] = sum[chain] * factor + term;
    vector total = (vector){0};
    for (int chain = 0; chain < CHAINS; ++chain) total += sum[chain];
    double result = 0;
    for (int lane = 0; lane < LANES; ++lane) result += total[lane];
    return result;
}
