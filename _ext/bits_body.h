/* Bits of positions: which are above a threshold, how many, how long, how often two at once. See pooling.h and each_simd.h. */

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

/* How many of the bits from begin to end are 1. */
TARGET static ptrdiff_t NAME(count)(const uint64_t *words, ptrdiff_t begin, ptrdiff_t end)
{
    ptrdiff_t total = 0;
    for (ptrdiff_t i = begin / 64; 64 * i < end; i++) {
        uint64_t word = words[i];
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
