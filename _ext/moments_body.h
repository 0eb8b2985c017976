/* The body of moments.h, included once per instruction set with NAME, TARGET and LANES defined. */

#if LANES > 1
typedef double NAME(vec) __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
#else
typedef double NAME(vec);
#endif
#define VEC NAME(vec)

/* `restrict`, `shared` and `symmetric` are constants wherever this is inlined, so each case is a loop of its own.
 * shared: channels have weights of their own for common p_n; otherwise the one channel's weights are folded into
 * p_0, which makes an update one multiply, one fused multiply-add and one addition. */
TARGET static inline __attribute__((always_inline)) void NAME(pass)(
    const recurrence_t *rec, ptrdiff_t n_nodes, ptrdiff_t n_channels,
    const double *restrict x, const double *restrict first, const double *restrict before,
    const double *restrict weights, ptrdiff_t stride, double *restrict sums, const int shared, const int symmetric)
{
    const ptrdiff_t n_moments = rec->n_moments;
    const double *restrict slope = rec->slope, *restrict shift = rec->shift, *restrict back = rec->back;
    for (ptrdiff_t k = 0; k < n_nodes; k += ROWS * LANES) {
        VEC arg[ROWS], p[ROWS], q[ROWS];  /* q = p_{n-1} */
        for (int r = 0; r < ROWS; r++) {
            arg[r] = *(const VEC *)(x + k + r * LANES);
            p[r] = *(const VEC *)(first + k + r * LANES);
            q[r] = *(const VEC *)(before + k + r * LANES);
            if (!shared) {
                const VEC w = *(const VEC *)(weights + k + r * LANES);
                p[r] *= w;
                q[r] *= w;
            }
        }
        for (ptrdiff_t n = 0; n < n_moments; n++) {
            if (shared)
                for (ptrdiff_t c = 0; c < n_channels; c++) {
                    const double *restrict w = weights + c * stride + k;
                    VEC *sum = (VEC *)(sums + (c * n_moments + n) * LANES);
                    VEC even = *sum + *(const VEC *)w * p[0];
                    VEC odd = *(const VEC *)(w + LANES) * p[1];
                    even += *(const VEC *)(w + 2 * LANES) * p[2];
                    odd += *(const VEC *)(w + 3 * LANES) * p[3];
                    *sum = even + odd;
                }
            else
                *(VEC *)(sums + n * LANES) += (p[0] + p[1]) + (p[2] + p[3]);
            for (int r = 0; r < ROWS; r++) {
                const VEC next = symmetric ? arg[r] * p[r] - back[n] * q[r]
                                           : (arg[r] * slope[n] + shift[n]) * p[r] - back[n] * q[r];
                q[r] = p[r];
                p[r] = next;
            }
        }
    }
}

TARGET static void NAME(moments)(
    const recurrence_t *rec, ptrdiff_t n_nodes, ptrdiff_t n_channels, const double *x, const double *first,
    const double *before, const double *weights, ptrdiff_t stride, double *sums)
{
    /* As many channels at a time as keep their sums in the first-level cache. */
    const ptrdiff_t fit = 32768 / (8 * LANES * rec->n_moments), group = fit < 1 ? 1 : fit;
    for (ptrdiff_t c = 0; c < n_channels; c += group) {
        const ptrdiff_t m = n_channels - c < group ? n_channels - c : group;
        const double *w = weights + c * stride;
        double *s = sums + c * rec->n_moments * LANES;
        if (m > 1 && rec->slope == NULL)
            NAME(pass)(rec, n_nodes, m, x, first, before, w, stride, s, 1, 1);
        else if (m > 1)
            NAME(pass)(rec, n_nodes, m, x, first, before, w, stride, s, 1, 0);
        else if (rec->slope == NULL)
            NAME(pass)(rec, n_nodes, 1, x, first, before, w, stride, s, 0, 1);
        else
            NAME(pass)(rec, n_nodes, 1, x, first, before, w, stride, s, 0, 0);
    }
}

/* out[i] = the sum of the LANES partial sums of row i. */
TARGET static void NAME(reduce)(ptrdiff_t n, const double *restrict sums, double *restrict out)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        double total = 0;
        for (int l = 0; l < LANES; l++)
            total += sums[i * LANES + l];
        out[i] = total;
    }
}

/* A broken line with corners (r_j, y_j): its slopes change by kink_j = slope_j - slope_{j-1} at r_j, where slope_j
 * belongs to the segment from r_j to r_{j+1}, and inverse_j = 1/(r_{j+1} - r_j), or 0 for segments left to others.
 * slope has one more element in front, the slope before the first corner. */
TARGET static void NAME(kinks)(ptrdiff_t n, const double *restrict y, const double *restrict inverse,
                               double *restrict slope, double *restrict kink)
{
    for (ptrdiff_t j = 0; j < n; j++)
        slope[j + 1] = (y[j + 1] - y[j]) * inverse[j];
    for (ptrdiff_t j = 0; j < n; j++)
        kink[j] = slope[j + 1] - slope[j];
}

#undef VEC
