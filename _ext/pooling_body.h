/* See pooling.h and each_simd.h. */

#include "bits_body.h"
#include "windows_body.h"

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
