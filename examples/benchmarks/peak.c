/* What this machine can do: vector multiply-adds that never leave the registers, and reading memory.
 *
 * Twelve chains hide the latency of each other. LANES is that of the instruction set under test.
 */
#include <stddef.h>

typedef double vec __attribute__((vector_size(8 * LANES)));
#define CHAINS 12

/* Returns something that depends on all of the work, so that none of it is left out. */
double multiply_adds(ptrdiff_t n)
{
    vec x[CHAINS], a, b, total = {0};
    double sum = 0;
    for (int l = 0; l < LANES; l++)
        a[l] = 0.999, b[l] = 0.001;
    for (int i = 0; i < CHAINS; i++)
        x[i] = a * i;
    for (ptrdiff_t k = 0; k < n; k++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            x[i] = x[i] * a + b;
    for (int i = 0; i < CHAINS; i++)
        total += x[i];
    for (int l = 0; l < LANES; l++)
        sum += total[l];
    return sum;
}

double read_all(const double *x, ptrdiff_t n)
{
    vec total[8] = {{0}};
    double sum = 0;
    for (ptrdiff_t k = 0; k + 8 * LANES <= n; k += 8 * LANES)
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            total[i] += *(const vec *)(x + k + i * LANES);
    for (int i = 0; i < 8; i++)
        for (int l = 0; l < LANES; l++)
            sum += total[i][l];
    return sum;
}
