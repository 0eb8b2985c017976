/* Moments of weighted nodes in an orthogonal family,
 *
 *     sums[c, n] = sum_j weights[c, j] p_n(x_j),      p_{-1} = before, p_0 = first,
 *     p_{n+1} = (slope_n x + shift_n) p_n - back_n p_{n-1},
 *
 * the one loop on which the whole package stands (moments_body.h), and the loops over points that feed it (points_body.h).
 * It runs over n, with rows of vectors of nodes side by side in registers; channels share the p_n.
 */
#ifndef HIPPO_MOMENTS_H
#define HIPPO_MOMENTS_H

#include "simd.h"

#define SHARED 4  /* channels that share the p_n of one pass */

typedef struct {
    ptrdiff_t n_moments;
    const double *slope, *shift;  /* NULL: slope_n = 1, shift_n = 0, the symmetric families in their cheapest scaling */
    const double *back;
} recurrence_t;

/* The kernels of one instruction set. */
typedef struct {
    void (*moments)(const recurrence_t *, ptrdiff_t n_nodes, ptrdiff_t n_channels, const double *x,
                   const double *first, const double *before, const double *weights, ptrdiff_t stride, double *sums);
    void (*reduce)(ptrdiff_t n, const double *sums, double *out);
    void (*fold)(ptrdiff_t n, double *sums, double *totals);
    void (*multiply_add)(ptrdiff_t n, const double *a, const double *x, double *y);
    void (*ramp)(ptrdiff_t n, const double *times, double from, double origin, double unit, double base,
                double width, double high, int exact, double *r);
    void (*combine)(ptrdiff_t n, const double *matrix, ptrdiff_t stride, const double *m, double *out);
    double (*gaps)(ptrdiff_t n, const double *r, double *gap, double *least);
    void (*kinks)(ptrdiff_t n, const double *y, const double *inverse, double *slope, double *kink);
    void (*rises)(ptrdiff_t n, const double *y, double *rise);
    void (*affine)(ptrdiff_t n, const double *r, double middle, double half, double *x, double *place);
    void (*pick)(ptrdiff_t n, const double *v, ptrdiff_t n_channels, double *y);
    void (*pick_float)(ptrdiff_t n, const float *v, ptrdiff_t n_channels, double *y);
    void (*begin)(ptrdiff_t n, const double *r, double *x, double *first, double *before);
    void (*fill)(ptrdiff_t n, double value, double *x);
    void (*invert)(ptrdiff_t n, const double *gap, double *inverse);
} vectors_t;

#define BODY "moments_body.h"
#include "each_simd.h"
#define BODY "points_body.h"
#include "each_simd.h"

#define vectors (*IN_USE(&vectors))

#endif
