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

/* Coefficients of one channel of one series, cell by cell: of f and, if slope is not NULL, of its slope, order rows of
 * stride numbers each. Observations are at u (in cells from the beginning), step numbers apart; NaN is none, and of a tie the
 * last one counts. f is constant beyond them, and 0 if there is none. */
WIDE static void NAME(fill_cells)(const windows_t *w, const double *u, const double *v, ptrdiff_t step, ptrdiff_t length,
                                  ptrdiff_t n_cells, ptrdiff_t stride, float *cells, float *slopes)
{
    const ptrdiff_t d = w->order, P = w->padding;
    double root[MAX_ORDER], begin = 0, end = 0;
    /* the observations around the current place; next == length: none is left */
    ptrdiff_t last = -1, next = next_observed(u, v, step, length, -1);
    for (ptrdiff_t n = 0; n < d; n++)
        root[n] = sqrt(2.0 * n + 1);
    for (ptrdiff_t k = 0; k < n_cells; k++) {
        double sum[MAX_ORDER] = {0}, rise[MAX_ORDER] = {0};
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
            for (ptrdiff_t q = 0; q < w->n_nodes; q++) {
                const double s = (until - at) * w->node[q], weight = (until - at) * w->weight[q];
                const double x = 2 * (at - k + s) - 1, y = weight * (f + slope * s), z = weight * slope;
                double before = 0, now = 1;
                for (ptrdiff_t n = 0; n < d; n++) {
                    const double after = ((2 * n + 1) * x * now - n * before) / (n + 1);
                    sum[n] += y * now;
                    rise[n] += z * now;
                    before = now, now = after;
                }
            }
            end = f + slope * (until - at);
            at = until;
        }
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

/* All windows of one series, merged by (E10), (n_windows, n_kinds, n_channels, order, stride), each at the place of its last cell; returns
 * the stride. Scales make numbers of the same size of them. */
WIDE static ptrdiff_t NAME(fill_windows)(const windows_t *w, const double *u, const double *v, ptrdiff_t length,
                                         ptrdiff_t n_cells, float *bank)
{
    const ptrdiff_t d = w->order, C = w->n_channels, stride = PADDED(n_cells + 2 * w->padding);
    const ptrdiff_t series = d * stride, size = w->n_kinds * C * series;
    memset(bank, 0, w->n_windows * size * sizeof(float));
    for (ptrdiff_t c = 0; c < C; c++)
        NAME(fill_cells)(w, u, v + c, C, length, n_cells, stride, bank + c * series,
                         w->n_kinds > 1 ? bank + (C + c) * series : NULL);
    for (ptrdiff_t i = 1; i < w->n_windows; i++) {
        const ptrdiff_t apart = w->length[w->newer[i]], from = w->length[i] - 1;
        const float *A = w->merge + 2 * i * d * d, *B = A + d * d;
        for (ptrdiff_t k = 0; k < w->n_kinds * C; k++)
            for (ptrdiff_t n = 0; n < d; n++) {
                float *restrict made = bank + i * size + k * series + n * stride;
                for (ptrdiff_t m = 0; m <= n; m++) {
                    const float *restrict older = bank + w->older[i] * size + k * series + m * stride - apart;
                    const float *restrict newer = bank + w->newer[i] * size + k * series + m * stride;
                    const float a = A[n * d + m], b = B[n * d + m];
                    SIMD
                    for (ptrdiff_t e = from; e < stride; e++)
                        made[e] += a * older[e] + b * newer[e];
                }
            }
    }
    if (w->scale != NULL)
        for (ptrdiff_t i = 0; i < w->n_windows * w->n_kinds * C * d; i++) {
            float *restrict row = bank + i * stride;
            const float scale = w->scale[i];
            SIMD
            for (ptrdiff_t e = 0; e < stride; e++)
                row[e] *= scale;
        }
    return stride;
}

/* Read-out k at all its positions; returns how many there are. Behind them, up to whole words, nothing is above anything. */
WIDE static ptrdiff_t NAME(read_out)(const windows_t *w, const readouts_t *r, ptrdiff_t k, const float *bank,
                                     ptrdiff_t n_cells, ptrdiff_t stride, float *restrict z)
{
    const ptrdiff_t d = w->order, length = w->length[r->window[k]], size = w->n_kinds * w->n_channels * d * stride;
    const int inside = r->inside[k] && n_cells >= length + 1;
    const ptrdiff_t n = inside ? n_cells - length + 1 : n_cells, from = w->padding + (inside ? length - 1 : length / 2);
    memset(z, 0, PADDED(n) * sizeof(float));
    for (ptrdiff_t i = r->channels[k]; i < r->channels[k + 1]; i++) {
        const float *own = bank + r->window[k] * size + (r->kind[k] * w->n_channels + r->channel[i]) * d * stride + from;
        const float *restrict x = own + r->first[k] * stride, *restrict y = own + r->second[k] * stride;
        const float a = (float)r->turned[i], b = a * r->sign[k];
        if (r->sign[k] == 0) {
            SIMD
            for (ptrdiff_t t = 0; t < n; t++)
                z[t] += a * x[t];
        } else {
            SIMD
            for (ptrdiff_t t = 0; t < n; t++)
                z[t] += a * x[t] + b * y[t];
        }
    }
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
 * those of one. Of less than three positions, a third is all of them. */
TARGET static void NAME(pool)(const windows_t *w, const readouts_t *r, const pairs_t *p, const float *bank,
                              ptrdiff_t n_cells, ptrdiff_t stride, float *z, uint64_t *bits, const pooled_t *out)
{
    const ptrdiff_t n_thresholds = r->thresholds[r->n_readouts];
    for (ptrdiff_t k = 0; k < r->n_readouts; k++) {
        const ptrdiff_t n = NAME(read_out)(w, r, k, bank, n_cells, stride, z), n_words = PADDED(n) / 64;
        if (out->spread != NULL)
            NAME(describe)(n, z, r->n_readouts, out->spread + k);
        for (ptrdiff_t j = r->thresholds[k]; j < r->thresholds[k + 1]; j++) {
            uint64_t *words = bits + (p->n_pairs > 0 ? j * n_words : 0);
            NAME(above)(n_words, z, r->threshold[j], words);
            if (out->ppv != NULL)
                out->ppv[j] = (float)NAME(count)(words, 0, n) / (float)n;
            if (out->longest != NULL)
                out->longest[j] = (float)NAME(longest)(n_words, words) / (float)n;
            for (ptrdiff_t i = 0; out->thirds != NULL && i < 3; i++) {
                const ptrdiff_t begin = n < 3 ? 0 : i * n / 3, end = n < 3 ? n : (i + 1) * n / 3;
                out->thirds[i * n_thresholds + j] = (float)NAME(count)(words, begin, end) / (float)(end - begin);
            }
        }
    }
    if (p->n_pairs > 0)
        NAME(meet)(p, n_cells, bits, out->both);
}
