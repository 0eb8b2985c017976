/* See pooling.h and each_simd.h. */

#include "bits_body.h"

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
    double *P = at->P, *Q = at->Q, *R = at->R;
    P[0] = 1, P[1] = x;
    for (ptrdiff_t n = 1; n <= d; n++)
        P[n + 1] = ((2 * n + 1) * x * P[n] - n * P[n - 1]) / (n + 1);
    Q[0] = x / 2, R[0] = x * x / 8;
    for (ptrdiff_t n = 1; n <= d; n++)
        Q[n] = (P[n + 1] - P[n - 1]) / (2 * (2 * n + 1));
    for (ptrdiff_t n = 1; n < d; n++)
        R[n] = (Q[n + 1] - Q[n - 1]) / (2 * (2 * n + 1));
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
                for (int i = 0; i < ROW; i++)
                    sum[i] += a * x[m][i] + b * y[m][i];
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

#ifndef HIPPO_ROWS
#define HIPPO_ROWS
/* A read-out is a sum of rows of the bank from a place on, a x + b y for each of its channels. */
typedef struct {
    ptrdiff_t n, n_positions;
    const float *x[MAX_MIXED], *y[MAX_MIXED];
    float a[MAX_MIXED], b[MAX_MIXED];
} rows_t;

/* Of a window that stays inside of the series, or whose centre does. */
static void rows_of(const windows_t *w, const readouts_t *r, ptrdiff_t k, const float *bank, ptrdiff_t n_cells,
                    ptrdiff_t stride, rows_t *rows)
{
    const ptrdiff_t d = w->order, length = w->length[r->window[k]];
    const int inside = r->inside[k] && n_cells >= length + 1;
    const ptrdiff_t from = ROW + w->padding + (inside ? length - 1 : length / 2);
    rows->n = r->channels[k + 1] - r->channels[k];
    rows->n_positions = inside ? n_cells - length + 1 : n_cells;
    for (ptrdiff_t i = 0; i < rows->n; i++) {
        const ptrdiff_t c = r->channels[k] + i;
        const float *own = bank + ((r->window[k] * w->n_kinds + r->kind[k]) * w->n_channels + r->channel[c]) * d * stride;
        rows->x[i] = own + r->first[k] * stride + from;
        rows->y[i] = own + r->second[k] * stride + from;
        rows->a[i] = (float)r->turned[c];
        rows->b[i] = (float)(r->turned[c] * r->sign[k]);
    }
}
#endif

/* Positions t to t + 63 of a read-out. */
WIDE static ALWAYS_INLINE void NAME(read_word)(const rows_t *rows, ptrdiff_t t, float *restrict z)
{
    for (ptrdiff_t i = 0; i < rows->n; i++) {
        const float *restrict x = rows->x[i] + t, *restrict y = rows->y[i] + t;
        const float a = rows->a[i], b = rows->b[i];
        if (i == 0) {
            SIMD
            for (int l = 0; l < 64; l++)
                z[l] = a * x[l] + b * y[l];
        } else {
            SIMD
            for (int l = 0; l < 64; l++)
                z[l] += a * x[l] + b * y[l];
        }
    }
}

/* Words of the positions at which a read-out is above each of n thresholds; those of one are step apart. */
WIDE static void NAME(words_above)(const rows_t *rows, ptrdiff_t n_words, ptrdiff_t n, const float *threshold,
                                   ptrdiff_t step, ptrdiff_t apart, uint64_t *restrict words)
{
    const ptrdiff_t n_read = PADDED(rows->n_positions) / 64;
    const uint64_t valid = ~(uint64_t)0 >> (64 * n_read - rows->n_positions);
    float z[64];
    if (n == 1 && rows->n == 1) {
        const float *restrict x = rows->x[0], *restrict y = rows->y[0];
        const float a = rows->a[0], b = rows->b[0], level = threshold[0];
        for (ptrdiff_t i = 0; i < n_read; i++) {
            SIMD
            for (int l = 0; l < 64; l++)
                z[l] = a * x[64 * i + l] + b * y[64 * i + l];
            NAME(above)(z, level, words + i * step);
        }
    } else {
        for (ptrdiff_t i = 0; i < n_read; i++) {
            NAME(read_word)(rows, 64 * i, z);
            for (ptrdiff_t j = 0; j < n; j++)
                NAME(above)(z, threshold[j], words + i * step + j * apart);
        }
    }
    for (ptrdiff_t j = 0; j < n; j++) {
        words[(n_read - 1) * step + j * apart] &= valid;
        for (ptrdiff_t i = n_read; i < n_words; i++)
            words[i * step + j * apart] = 0;
    }
}

/* Read-out k at all its positions; returns how many there are. Behind them, up to whole words, nothing is above anything. */
WIDE static ptrdiff_t NAME(read_out)(const windows_t *w, const readouts_t *r, ptrdiff_t k, const float *bank,
                                     ptrdiff_t n_cells, ptrdiff_t stride, float *z)
{
    rows_t rows;
    rows_of(w, r, k, bank, n_cells, stride, &rows);
    const ptrdiff_t n = rows.n_positions;
    for (ptrdiff_t t = 0; t < n; t += 64)
        NAME(read_word)(&rows, t, z + t);
    for (ptrdiff_t t = n; t < PADDED(n); t++)
        z[t] = -INFINITY;
    return n;
}

/* Standard deviation, least and greatest of n numbers, step apart in out. */
TARGET static void NAME(describe)(ptrdiff_t n, const float *z, ptrdiff_t step, float *out)
{
    double sum = 0, squares = 0;
    float least = z[0], greatest = z[0];
    for (ptrdiff_t t = 0; t < n; t++) {
        sum += z[t];
        least = z[t] < least ? z[t] : least;
        greatest = z[t] > greatest ? z[t] : greatest;
    }
    for (ptrdiff_t t = 0; t < n; t++)
        squares += (z[t] - sum / n) * (z[t] - sum / n);
    out[0] = (float)sqrt(squares / n), out[step] = least, out[2 * step] = greatest;
}

/* Features of one series. bits keeps all thresholds, if there are pairs, whose read-outs share their positions; otherwise
 * those of BATCH, whose words lie side by side. Of less than three positions, a third is all of them. */
TARGET static void NAME(pool)(const windows_t *w, const readouts_t *r, const pairs_t *p, const float *bank,
                              ptrdiff_t n_cells, ptrdiff_t stride, float *z, uint64_t *bits, const pooled_t *out)
{
    const ptrdiff_t n_thresholds = r->thresholds[r->n_readouts], n_words = PADDED(n_cells) / 64;
    ptrdiff_t n_of[BATCH], begun = 0;  /* positions of the thresholds of the batch, and the first of these */
    rows_t rows;
    for (ptrdiff_t k = 0; k < r->n_readouts; k++) {
        rows_of(w, r, k, bank, n_cells, stride, &rows);
        const ptrdiff_t n = rows.n_positions, last = r->thresholds[k + 1];
        ptrdiff_t j = r->thresholds[k];
        if (p->n_pairs > 0) {
            NAME(words_above)(&rows, n_words, last - j, r->threshold + j, 1, n_words, bits + j * n_words);
            continue;
        }
        if (out->spread != NULL) {
            NAME(read_out)(w, r, k, bank, n_cells, stride, z);
            NAME(describe)(n, z, r->n_readouts, out->spread + k);
        }
        for (ptrdiff_t end; j < last; j = end) {
            end = last < begun + BATCH ? last : begun + BATCH;
            NAME(words_above)(&rows, n_words, end - j, r->threshold + j, BATCH, 1, bits + j - begun);
            for (ptrdiff_t l = j; l < end; l++) {
                const uint64_t *words = bits + l - begun;
                n_of[l - begun] = n;
                if (out->ppv != NULL)
                    out->ppv[l] = (float)NAME(count)(words, BATCH, 0, n) / (float)n;
                for (ptrdiff_t i = 0; out->thirds != NULL && i < 3; i++) {
                    const ptrdiff_t one = n < 3 ? 0 : i * n / 3, two = n < 3 ? n : (i + 1) * n / 3;
                    out->thirds[i * n_thresholds + l] = (float)NAME(count)(words, BATCH, one, two) / (float)(two - one);
                }
            }
            if (end < begun + BATCH && end < n_thresholds)
                continue;
            if (out->longest != NULL) {
                ptrdiff_t found[BATCH];
                NAME(longest)(n_words, end - begun, bits, found);
                for (ptrdiff_t l = begun; l < end; l++)
                    out->longest[l] = (float)found[l - begun] / (float)n_of[l - begun];
            }
            begun = end;
        }
    }
    if (p->n_pairs > 0)
        NAME(meet)(p, n_cells, bits, out->both);
}
