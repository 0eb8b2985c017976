/* The reference of the benchmarks: the scalar O(N) recurrence of HiPPO-LegS, one observation after the other.
 *
 * (I - h/2 A) c_k = (I + h/2 A) c_{k-1} + h B f_k, h = log(t_k / t_{k-1}): the bilinear step of the paper, with the step of
 * log-time, which costs the same and is far more accurate. A = -(diag(n + 1) + tril(p p^T, -1)), p_n = sqrt(2n + 1), so two
 * running sums replace the matrix products.
 */
#include <math.h>
#include <stddef.h>

void legs_recurrence(const double *f, const double *times, ptrdiff_t length, const double *p, ptrdiff_t order, double *c)
{
    for (ptrdiff_t n = 0; n < order; n++)
        c[n] = 0;
    c[0] = f[0];
    for (ptrdiff_t k = 1; k < length; k++) {
        const double h = log(times[k] / times[k - 1]), half = h / 2;
        double before = 0, after = 0;
        for (ptrdiff_t n = 0; n < order; n++) {
            const double old = c[n];
            c[n] = (old - half * ((n + 1) * old + p[n] * (before + after)) + h * p[n] * f[k]) / (1 + half * (n + 1));
            before += p[n] * old;
            after += p[n] * c[n];
        }
    }
}
