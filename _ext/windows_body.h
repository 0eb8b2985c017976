/* Cells of a series, and windows merged of them. See pooling.h and each_simd.h. */

#ifndef HIPPO_NEXT
#define HIPPO_NEXT
/* The next observation after one, the last one of its stamp; length if there is none. */
static ptrdiff_t next_observed(const double *u, const double *v, ptrdiff_t step, ptrdiff_t length, ptrdiff_t i)
{
    ptrdiff_t found = length;
    for (i++; i < length && (found == length || u[i] == u[found]); i++)
        if (!isnan(v[i * step]))
            found = i;
    return found;
}
#endif

#ifndef HIPPO_KNOT
#define HIPPO_KNOT
/* At x in [-1, 1], the place 2 s - 1 in a cell: P_n, its integral Q_n over s, and the integral R_n of that. */
typedef struct {
    double P[MAX_ORDER + 2], Q[MAX_ORDER + 1], R[MAX_ORDER];
} knot_t;

static void fill_knot(ptrdiff_t d, double x, knot_t *at)
{
    /* of (n + 1) P_{n + 1} = (2 n + 1) x P_n - n P_{n - 1}, and 1 / (4 n + 2) */
    static const double share[MAX_ORDER + 1] = {1. / 1, 1. / 2, 1. / 3, 1. / 4, 1. / 5, 1. / 6, 1. / 7, 1. / 8, 1. / 9,
                                                1. / 10, 1. / 11, 1. / 12, 1. / 13, 1. / 14, 1. / 15, 1. / 16, 1. / 17};
    static const double half[MAX_ORDER + 1] = {1. / 2, 1. / 6, 1. / 10, 1. / 14, 1. / 18, 1. / 22, 1. / 26, 1. / 30,
                                               1. / 34, 1. / 38, 1. / 42, 1. / 46, 1. / 50, 1. / 54, 1. / 58, 1. / 62,
                                               1. / 66};
    double *P = at->P, *Q = at->Q, *R = at->R;
    P[0] = 1, P[1] = x;
    for (ptrdiff_t n = 1; n <= d; n++)
        P[n + 1] = x * P[n] + n * share[n] * (x * P[n] - P[n - 1]);
    Q[0] = x / 2, R[0] = x * x / 8;
    for (ptrdiff_t n = 1; n <= d; n++)
        Q[n] = (P[n + 1] - P[n - 1]) * half[n];
    for (ptrdiff_t n = 1; n < d; n++)
        R[n] = (Q[n + 1] - Q[n - 1]) * half[n];
}
#endif

/* Coefficients of one channel of one series, cell by cell: of f and, if slope is not NULL, of its slope, order rows of
 * stride numbers each. Observations are at u (in cells from the beginning), step numbers apart; NaN is none, and of a tie the
 * last one counts. f is constant beyond them, and 0 if there is none.
 *
 * By parts, int f P_n = f Q_n - int f' Q_n. f is continuous, and Q_n vanishes at both ends of a cell, but for Q_0 = +-1/2
 * there; so a piece from a to b, where the slope is one number, adds slope (R_n(a) - R_n(b)), and for the slope
 * slope (Q_n(b) - Q_n(a)). Of very short pieces, whose slope is large, the trapezoidal rule is more exact. */
WIDE static void NAME(fill_cells)(const windows_t *w, const double *u, const double *v, ptrdiff_t step, ptrdiff_t length,
                                  ptrdiff_t n_cells, ptrdiff_t stride, float *cells, float *slopes)
{
    const ptrdiff_t d = w->order, P = w->padding;
    double root[MAX_ORDER], begin = 0, end = 0;
    knot_t left, right, inner[2];
    fill_knot(d, -1, &left), fill_knot(d, 1, &right);
    /* the observations around the current place; next == length: none is left */
    ptrdiff_t last = -1, next = next_observed(u, v, step, length, -1);
    for (ptrdiff_t n = 0; n < d; n++)
        root[n] = sqrt(2.0 * n + 1);
    for (ptrdiff_t k = 0; k < n_cells; k++) {
        double sum[MAX_ORDER] = {0}, rise[MAX_ORDER] = {0};
        const knot_t *a = &left;
        double at = k;
        while (at < k + 1) {
            while (next < length && u[next] <= at) {  /* whose interval is over */
                last = next;
                next = next_observed(u, v, step, length, next);
            }
            double until = k + 1, f = 0, slope = 0;
            if (next < length && u[next] < until)
                until = u[next];
            if (next < length && last >= 0) {
                slope = (v[next * step] - v[last * step]) / (u[next] - u[last]);
                f = v[last * step] + slope * (at - u[last]);
            } else if (next < length || last >= 0) {
                f = v[(last >= 0 ? last : next) * step];
            }
            if (at == 0)
                begin = f;
            if (at == k)
                sum[0] += f / 2;
            end = f + slope * (until - at);
            if (at == k && until == k + 1) {  /* all of it on one line; what is not written is zero */
                cells[P + k] = (float)((f + end) / 2);
                if (d > 1)
                    cells[stride + P + k] = (float)(slope / (2 * root[1]));
                if (slopes != NULL)
                    slopes[P + k] = (float)slope;
                break;
            }
            const knot_t *b = &right;
            if (until < k + 1) {
                knot_t *own = a == inner ? inner + 1 : inner;
                fill_knot(d, 2 * (until - k) - 1, own);
                b = own;
            }
            if (until - at > 1e-5) {
                for (ptrdiff_t n = 0; n < d; n++) {
                    sum[n] += slope * (a->R[n] - b->R[n]);
                    rise[n] += slope * (b->Q[n] - a->Q[n]);
                }
            } else {
                for (ptrdiff_t n = 0; n < d; n++) {
                    sum[n] -= slope * (until - at) * (a->Q[n] + b->Q[n]) / 2;
                    rise[n] += slope * (until - at) * (a->P[n] + b->P[n]) / 2;
                }
            }
            a = b;
            at = until;
        }
        if (at == k)
            continue;
        sum[0] += end / 2;
        for (ptrdiff_t n = 0; n < d; n++) {
            cells[n * stride + P + k] = (float)(root[n] * sum[n]);
            if (slopes != NULL)
                slopes[n * stride + P + k] = (float)(root[n] * rise[n]);
        }
    }
    for (ptrdiff_t k = 0; k < P; k++)
        cells[k] = (float)begin;
    for (ptrdiff_t k = P + n_cells; k < stride; k++)
        cells[k] = (float)end;
}

/* made[n] = sum_{m <= n} A[n, m] older[m] + B[n, m] newer[m], d rows from one place on; all rows are as far apart. */
WIDE static ALWAYS_INLINE void NAME(merge_rows)(ptrdiff_t d, const float *A, const float *B, const float *older,
                                                const float *newer, ptrdiff_t from, ptrdiff_t stride, float *made)
{
    for (ptrdiff_t e = from; e < stride; e += ROW) {
        if (e + ROW > stride)
            e = stride - ROW;  /* some places once more, or those that no window ends at */
        float x[MAX_ORDER][ROW], y[MAX_ORDER][ROW];
        UNROLL
        for (ptrdiff_t m = 0; m < d; m++) {
            memcpy(x[m], older + m * stride + e, sizeof x[m]);
            memcpy(y[m], newer + m * stride + e, sizeof y[m]);
        }
        UNROLL
        for (ptrdiff_t n = 0; n < d; n++) {
            float sum[ROW] = {0};
            UNROLL
            for (ptrdiff_t m = 0; m <= n; m++) {
                const float a = A[n * d + m], b = B[n * d + m];
                SIMD
                for (int i = 0; i < ROW; i++) {
                    sum[i] += a * x[m][i];
                    sum[i] += b * y[m][i];
                }
            }
            memcpy(made + n * stride + e, sum, sizeof sum);
        }
    }
}

/* All windows of one series, merged by (E10), (n_windows, n_kinds, n_channels, order, stride), each at the place of its
 * last cell; returns the stride. Scales make numbers of the same size of them, and so of the matrices. */
WIDE static ptrdiff_t NAME(fill_windows)(const windows_t *w, const double *u, const double *v, ptrdiff_t length,
                                         ptrdiff_t n_cells, float *bank)
{
    const ptrdiff_t d = w->order, C = w->n_channels, stride = IN_ROWS(n_cells + 2 * w->padding);
    const ptrdiff_t series = d * stride, rows = w->n_kinds * C, size = rows * series;
    bank += ROW;  /* the first rows are read a little before their beginning */
    memset(bank, 0, size * sizeof(float));
    for (ptrdiff_t c = 0; c < C; c++)
        NAME(fill_cells)(w, u, v + c, C, length, n_cells, stride, bank + c * series,
                         w->n_kinds > 1 ? bank + (C + c) * series : NULL);
    if (w->scale != NULL)
        for (ptrdiff_t i = 0; i < rows * d; i++)
            SIMD
            for (ptrdiff_t e = 0; e < stride; e++)
                bank[i * stride + e] *= w->scale[i];
    for (ptrdiff_t i = 1; i < w->n_windows; i++) {
        const ptrdiff_t one = w->older[i], other = w->newer[i], from = w->length[i] - 1;
        const float *merge = w->merge + 2 * i * d * d;
        for (ptrdiff_t k = 0; k < rows; k++) {
            float A[MAX_ORDER * MAX_ORDER], B[MAX_ORDER * MAX_ORDER];
            for (ptrdiff_t n = 0; n < d; n++)
                for (ptrdiff_t m = 0; m <= n; m++) {
                    float a = merge[n * d + m], b = merge[(d + n) * d + m];
                    if (w->scale != NULL) {
                        const float *scale = w->scale + k * d;
                        a *= scale[i * rows * d + n] / scale[one * rows * d + m];
                        b *= scale[i * rows * d + n] / scale[other * rows * d + m];
                    }
                    A[n * d + m] = a, B[n * d + m] = b;
                }
            const float *older = bank + one * size + k * series - w->length[other];
            const float *newer = bank + other * size + k * series;
            float *made = bank + i * size + k * series;
            if (d == 6)  /* a known order stays in registers */
                NAME(merge_rows)(6, A, B, older, newer, from, stride, made);
            else if (d == 4)
                NAME(merge_rows)(4, A, B, older, newer, from, stride, made);
            else
                NAME(merge_rows)(d, A, B, older, newer, from, stride, made);
        }
    }
    return stride;
}
