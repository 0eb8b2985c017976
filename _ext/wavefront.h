/* One implicit step of c' = A c + B f after the other, for A = -(diag(d) + tril(p q^T, -1)):
 *
 *     (I - a h A) c_k = (I + (1 - a) h A) c_{k-1} + h B f_k.
 *
 * Two running sums replace both matrix products, so a step costs O(order), but every coefficient waits for the one before
 * it. A wavefront over time keeps the vector lanes busy all the same: each lane makes a step of its own, one coefficient
 * behind its neighbour.
 */
#ifndef HIPPO_WAVEFRONT_H
#define HIPPO_WAVEFRONT_H

#include "simd.h"

typedef struct {
    const double *d, *p, *q, *b;  /* reversed, with lanes - 1 zeros on both sides */
} factors_t;

/* (b[0], a[0], a[1], ...): every lane hands on to the next one. */
#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)
#define SHIFT_2(a, b) __builtin_shufflevector(a, b, 2, 0)
#define SHIFT_4(a, b) __builtin_shufflevector(a, b, 4, 0, 1, 2)
#define SHIFT_8(a, b) __builtin_shufflevector(a, b, 8, 0, 1, 2, 3, 4, 5, 6)
#elif defined(__GNUC__)
typedef long long index_2 __attribute__((vector_size(16)));
typedef long long index_4 __attribute__((vector_size(32)));
typedef long long index_8 __attribute__((vector_size(64)));
#define SHIFT_2(a, b) __builtin_shuffle(a, b, (index_2){2, 0})
#define SHIFT_4(a, b) __builtin_shuffle(a, b, (index_4){4, 0, 1, 2})
#define SHIFT_8(a, b) __builtin_shuffle(a, b, (index_8){8, 0, 1, 2, 3, 4, 5, 6})
#endif

#define BODY "wavefront_body.h"
#include "each_simd.h"

#define wavefront IN_USE(wavefront)

#endif
