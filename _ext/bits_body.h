/* Bits of positions: which are above a threshold, how many, how long, how often two at once. See pooling.h and each_simd.h. */

/* Bit t: whether z[t] is above a threshold. */
TARGET static ALWAYS_INLINE void NAME(above)(const float *z, float threshold, uint64_t *found)
{
    uint64_t word = 0;
#if defined(HIPPO_X86) && LANES == 8
    const __m512 level = _mm512_set1_ps(threshold);
    __mmask16 part[4];
    for (int g = 0; g < 4; g++)
        part[g] = _mm512_cmp_ps_mask(_mm512_loadu_ps(z + 16 * g), level, _CMP_GT_OQ);
    word = _mm512_kunpackd(_mm512_kunpackw(part[3], part[2]), _mm512_kunpackw(part[1], part[0]));
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
    *found = word;
}

/* The longest run of ones of each of up to BATCH thresholds, whose words lie side by side. */
TARGET static void NAME(longest)(ptrdiff_t n_words, ptrdiff_t n, const uint64_t *words, ptrdiff_t *found)
{
#if defined(HIPPO_X86) && LANES == 8
    /* Of all of them at once. In x[k] are the beginnings of runs of 2^k within a word, from which the longest one is put
     * together; a run that goes on from the word before has as many more as there are ones at its low end. */
    const __m512i ones = _mm512_set1_epi64(-1), whole = _mm512_set1_epi64(64);
    __m512i best = _mm512_setzero_si512(), run = best;
    for (ptrdiff_t i = 0; i < n_words; i++) {
        __m512i x[6], rest = ones, length = _mm512_setzero_si512();
        x[0] = _mm512_loadu_si512(words + i * BATCH);
        for (int k = 0; k < 5; k++)
            x[k + 1] = _mm512_and_si512(x[k], _mm512_srl_epi64(x[k], _mm_cvtsi32_si128(1 << k)));
        for (int k = 5; k >= 0; k--) {
            const __m512i longer = _mm512_and_si512(rest, _mm512_srlv_epi64(x[k], length));
            const __mmask8 some = _mm512_test_epi64_mask(longer, longer);
            rest = _mm512_mask_mov_epi64(rest, some, longer);
            length = _mm512_mask_add_epi64(length, some, length, _mm512_set1_epi64(1 << k));
        }
        const __m512i zeros = _mm512_xor_si512(x[0], ones);
        const __mmask8 full = _mm512_testn_epi64_mask(zeros, zeros);
        const __m512i lowest = _mm512_and_si512(zeros, _mm512_sub_epi64(_mm512_setzero_si512(), zeros));
        __m512i low = _mm512_sub_epi64(_mm512_set1_epi64(63), _mm512_lzcnt_epi64(lowest));
        low = _mm512_add_epi64(run, _mm512_mask_mov_epi64(low, full, whole));
        best = _mm512_max_epi64(best, _mm512_max_epi64(low, length));
        run = _mm512_mask_mov_epi64(_mm512_lzcnt_epi64(zeros), full, low);
    }
    int64_t out[BATCH];
    _mm512_storeu_si512(out, best);
    for (ptrdiff_t l = 0; l < n; l++)
        found[l] = out[l];
#else
    for (ptrdiff_t l = 0; l < n; l++) {
        ptrdiff_t run = 0, longest = 0;
        for (ptrdiff_t i = 0; i < n_words; i++) {
            uint64_t word = words[i * BATCH + l];
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
            if (words[i * BATCH + l] == 0)
                run = 0;
        }
        found[l] = longest;
    }
#endif
}

/* How many of the bits from begin to end are 1, of words that are step apart. */
TARGET static ptrdiff_t NAME(count)(const uint64_t *words, ptrdiff_t step, ptrdiff_t begin, ptrdiff_t end)
{
    ptrdiff_t total = 0;
    for (ptrdiff_t i = begin / 64; 64 * i < end; i++) {
        uint64_t word = words[i * step];
        if (64 * i < begin)
            word &= ~(uint64_t)0 << (begin - 64 * i);
        if (end - 64 * i < 64)
            word &= ((uint64_t)1 << (end - 64 * i)) - 1;
        total += bits_in(word);
    }
    return total;
}

/* How often two are at once, (n_pairs,) shares of the positions at which both can be. */
TARGET static void NAME(meet)(const pairs_t *p, ptrdiff_t n, const uint64_t *bits, float *out)
{
    const ptrdiff_t n_words = PADDED(n) / 64;
    for (ptrdiff_t i = 0; i < p->n_pairs; i++) {
        const uint64_t *one = bits + (p->one[i] >> 1) * n_words, *other = bits + (p->other[i] >> 1) * n_words;
        const uint64_t turn = p->one[i] & 1 ? ~(uint64_t)0 : 0, turn_other = p->other[i] & 1 ? ~(uint64_t)0 : 0;
        const ptrdiff_t lag = p->lag[i] < n ? p->lag[i] : n - 1, whole = lag / 64, rest = lag % 64, shared = n - lag;
        const ptrdiff_t last = (shared - 1) / 64;  /* word, of whose bits some do not count */
        const uint64_t valid = ~(uint64_t)0 >> (64 * (last + 1) - shared);
        ptrdiff_t count = 0;
        other += whole;
        if (rest == 0) {
            for (ptrdiff_t k = 0; k < last; k++)
                count += bits_in((other[k] ^ turn_other) & (one[k] ^ turn));
            count += bits_in((other[last] ^ turn_other) & (one[last] ^ turn) & valid);
        } else {
            for (ptrdiff_t k = 0; k < last; k++)
                count += bits_in(((other[k] >> rest | other[k + 1] << (64 - rest)) ^ turn_other) & (one[k] ^ turn));
            uint64_t word = other[last] >> rest;
            if (whole + last + 1 < n_words)
                word |= other[last + 1] << (64 - rest);
            count += bits_in((word ^ turn_other) & (one[last] ^ turn) & valid);
        }
        out[i] = (float)count / (float)shared;
    }
}
