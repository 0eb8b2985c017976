/* See pooling.h and each_simd.h. */

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

/* Bit t of the words: whether z[t] is above a threshold. */
TARGET static void NAME(above)(ptrdiff_t n_words, const float *z, float threshold, uint64_t *words)
{
    for (ptrdiff_t i = 0; i < n_words; i++, z += 64) {
        uint64_t word = 0;
#if defined(HIPPO_X86) && LANES == 8
        const __m512 level = _mm512_set1_ps(threshold);
        for (int g = 0; g < 4; g++)
            word |= (uint64_t)_mm512_cmp_ps_mask(_mm512_loadu_ps(z + 16 * g), level, _CMP_GT_OQ) << (16 * g);
#elif defined(HIPPO_X86) && LANES == 4
        const __m256 level = _mm256_set1_ps(threshold);
        for (int g = 0; g < 8; g++)
            word |= (uint64_t)(unsigned)_mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(z + 8 * g), level, _CMP_GT_OQ))
                << (8 * g);
#elif defined(HIPPO_X86) && defined(__SSE2__)
        const __m128 level = _mm_set1_ps(threshold);
        for (int g = 0; g < 16; g++)
            word |= (uint64_t)(unsigned)_mm_movemask_ps(_mm_cmpgt_ps(_mm_loadu_ps(z + 4 * g), level)) << (4 * g);
#else
        for (int t = 0; t < 64; t++)
            word |= (uint64_t)(z[t] > threshold) << t;
#endif
        words[i] = word;
    }
}

/* The longest run of ones. */
TARGET static ptrdiff_t NAME(longest)(ptrdiff_t n_words, const uint64_t *words)
{
    ptrdiff_t run = 0, longest = 0;
    for (ptrdiff_t i = 0; i < n_words; i++) {
        uint64_t word = words[i];
        int left = 64;
        while (word != 0) {
            const int skipped = zeros_below(word);
            if (skipped > 0)
                run = 0, word >>= skipped, left -= skipped;
            const int ones = ~word == 0 ? 64 : zeros_below(~word);
            run += ones, left -= ones;
            longest = run > longest ? run : longest;
            word = ones < 64 ? word >> ones : 0;
            if (left > 0 && word == 0)
                run = 0;
        }
        if (words[i] == 0)
            run = 0;
    }
    return longest;
}

/* How often two are at once, (n_pairs,) shares of the positions at which both can be. */
TARGET static void NAME(meet)(const pairs_t *p, ptrdiff_t n, const uint64_t *bits, float *out)
{
    const ptrdiff_t n_words = PADDED(n) / 64;
    for (ptrdiff_t i = 0; i < p->n_pairs; i++) {
        const uint64_t *one = bits + (p->one[i] >> 1) * n_words, *other = bits + (p->other[i] >> 1) * n_words;
        const uint64_t turn = p->one[i] & 1 ? ~(uint64_t)0 : 0, turn_other = p->other[i] & 1 ? ~(uint64_t)0 : 0;
        const ptrdiff_t lag = p->lag[i] < n ? p->lag[i] : n - 1, whole = lag / 64, rest = lag % 64, shared = n - lag;
        ptrdiff_t count = 0;
        for (ptrdiff_t k = 0; 64 * k < shared; k++) {
            uint64_t word = (other[k + whole] ^ turn_other) >> rest;
            if (rest > 0 && k + whole + 1 < n_words)
                word |= (other[k + whole + 1] ^ turn_other) << (64 - rest);
            word &= one[k] ^ turn;
            if (shared - 64 * k < 64)
                word &= ((uint64_t)1 << (shared - 64 * k)) - 1;
            count += bits_in(word);
        }
        out[i] = (float)count / (float)shared;
    }
}

/* Features of one series: for each threshold the share of positions above it and, if longest is not NULL, the longest
 * stretch; for each pair how often both are. bits keeps all thresholds, if there are pairs, whose read-outs share their
 * positions; otherwise those of one. */
TARGET static void NAME(pool)(const windows_t *w, const readouts_t *r, const pairs_t *p, const float *bank,
                              ptrdiff_t n_cells, ptrdiff_t stride, float *z, uint64_t *bits, float *ppv, float *longest,
                              float *both)
{
    for (ptrdiff_t k = 0; k < r->n_readouts; k++) {
        const ptrdiff_t n = NAME(read_out)(w, r, k, bank, n_cells, stride, z), n_words = PADDED(n) / 64;
        for (ptrdiff_t j = r->thresholds[k]; j < r->thresholds[k + 1]; j++) {
            uint64_t *words = bits + (p->n_pairs > 0 ? j * n_words : 0);
            NAME(above)(n_words, z, r->threshold[j], words);
            if (ppv != NULL) {
                ptrdiff_t count = 0;
                for (ptrdiff_t i = 0; i < n_words; i++)
                    count += bits_in(words[i]);
                ppv[j] = (float)count / (float)n;
            }
            if (longest != NULL)
                longest[j] = (float)NAME(longest)(n_words, words) / (float)n;
        }
    }
    if (p->n_pairs > 0)
        NAME(meet)(p, n_cells, bits, both);
}
