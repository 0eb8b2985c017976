/* Nonlinear summaries of a sliding memory.
 *
 * A series f, over cells of equal length, is remembered cell by cell as the first coefficients of its Legendre projection,
 *
 *     c_n[k] = sqrt(2n + 1) int_0^1 f(k + s) P_n(2s - 1) ds,
 *
 * and those of longer windows follow exactly from an older and a newer part, with two triangular matrices for every length:
 * c[w] = A c[older] + B c[newer]. A read-out is one coefficient of a window, or the sum or difference of two, over
 * some channels; it runs over all positions of the window, and is pooled by thresholds: how often it is above (ppv), for how
 * long at a stretch, and how often two of them are at once; or without: by its standard deviation, least and greatest value.
 */
#ifndef HIPPO_POOLING_H
#define HIPPO_POOLING_H

#include "simd.h"

#if defined(HIPPO_X86)
#include <immintrin.h>
#endif
#if defined(_MSC_VER)
#include <intrin.h>
#endif

#define MAX_ORDER 16

typedef struct {
    ptrdiff_t order, n_channels, n_windows, n_kinds;  /* kinds: of f, and of its slope */
    ptrdiff_t padding;                                /* cells before the first and after the last one, constant */
    const int32_t *length;                            /* (n_windows,) in cells, the first of one */
    const int32_t *older, *newer;                     /* (n_windows,) of which windows one is made */
    const float *merge;                               /* (n_windows, 2, order, order) A and B */
    const float *scale;                               /* (n_windows, n_kinds, n_channels, order) or NULL */
} windows_t;

typedef struct {
    ptrdiff_t n_readouts;
    const int32_t *window, *kind, *first, *second, *sign;  /* (n_readouts,); sign 0: the first coefficient alone */
    const int32_t *inside;                                 /* (n_readouts,) whether the window stays within the series */
    const int32_t *channels;                               /* (n_readouts + 1,) where the channels of each begin */
    const int32_t *channel, *turned;                       /* and with what sign */
    const int32_t *thresholds;                             /* (n_readouts + 1,) where the thresholds of each begin */
    const float *threshold;
} readouts_t;

typedef struct {
    ptrdiff_t n_pairs;
    const int32_t *one, *other;           /* (n_pairs,) 2 threshold + 1 if below it counts */
    const int32_t *lag;                   /* (n_pairs,) in cells, of the other behind the one */
} pairs_t;

typedef struct {                          /* where features go, NULL for none */
    float *ppv, *longest;                 /* (n_thresholds,) share of the positions above, and the longest stretch */
    float *thirds;                        /* (3, n_thresholds) share of the first, middle and last third of them */
    float *spread;                        /* (3, n_readouts) standard deviation, least and greatest value */
    float *both;                          /* (n_pairs,) share of the positions in which both are */
} pooled_t;

/* Whole words of bits, and whole vectors of any set. */
#define PADDED(n) (((n) + 63) / 64 * 64)
#define ROW 16
#define IN_ROWS(n) (((n) + ROW - 1) / ROW * ROW)
#define MAX_MIXED 16  /* channels of a read-out */
#define BATCH 8  /* thresholds whose bits are looked at together */

static int bits_in(uint64_t word)
{
#if defined(__GNUC__)
    return __builtin_popcountll(word);
#elif defined(_MSC_VER) && defined(_M_X64)
    return (int)__popcnt64(word);
#else
    int n = 0;
    for (; word; word &= word - 1)
        n++;
    return n;
#endif
}

static int zeros_below(uint64_t word)  /* of a word that is not zero */
{
#if defined(__GNUC__)
    return __builtin_ctzll(word);
#else
    int n = 0;
    for (; !(word & 1); word >>= 1)
        n++;
    return n;
#endif
}

#define BODY "pooling_body.h"
#include "each_simd.h"

#define fill_windows IN_USE(fill_windows)
#define read_out IN_USE(read_out)
#define pool IN_USE(pool)

#endif
