/* Diagonal state spaces. See ssm.h and each_simd.h. */

#if LANES > 1
typedef REAL FN(vec) __attribute__((vector_size(8 * LANES), aligned(sizeof(REAL)), may_alias));
#else
typedef REAL FN(vec);
#endif
#define VEC FN(vec)
enum { FN(LANE) = sizeof(FN(vec)) / sizeof(REAL) };
#define INLINE TARGET static inline __attribute__((always_inline))

/* Rows of some channels, put side by side, with zeros in the lanes that are left over; and back. */
TARGET static void FN(gather)(ptrdiff_t rows, ptrdiff_t width, ptrdiff_t n, ptrdiff_t block, const REAL *from, REAL *restrict to)
{
    if (n == FN(LANE) && n == block)  /* a call for each row would take longer than the row */
        for (ptrdiff_t r = 0; r < rows; r++, from += width, to += block)
            *(VEC *)to = *(const VEC *)from;
    else
        for (ptrdiff_t r = 0; r < rows; r++, from += width, to += block) {
            memcpy(to, from, n * sizeof(REAL));
            memset(to + n, 0, (block - n) * sizeof(REAL));
        }
}

TARGET static void FN(scatter)(ptrdiff_t rows, ptrdiff_t width, ptrdiff_t n, ptrdiff_t block, const REAL *restrict from, REAL *to)
{
    if (n == FN(LANE) && n == block)
        for (ptrdiff_t r = 0; r < rows; r++, from += block, to += width)
            *(VEC *)to = *(const VEC *)from;
    else
        for (ptrdiff_t r = 0; r < rows; r++, from += block, to += width)
            memcpy(to, from, n * sizeof(REAL));
}

/* Rows of a stretch, while those that come next are on their way into the cache: `ahead` rows later, or earlier. */
TARGET static void FN(gather_stretch)(ptrdiff_t rows, ptrdiff_t width, ptrdiff_t n, const REAL *from, REAL *restrict to, ptrdiff_t ahead)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        PREFETCH(from + (r + ahead) * width);
    FN(gather)(rows, width, n, FN(LANE), from, to);
}

/* Numbers of an item, (n_sets, rows, width) in memory. */
static void FN(gather_set)(const space_t *s, item_t i, ptrdiff_t rows, const void *from, REAL *to)
{
    const ptrdiff_t set = s->n_sets > 1 ? i.b : 0;
    FN(gather)(rows, s->width, i.n, FN(LANE), (const REAL *)from + set * rows * s->width + i.h, to);
}

#include "runs_body.h"
#include "steady_body.h"
#include "angle_body.h"
#include "mode_body.h"
#include "slow_body.h"
#include "varying_body.h"
#include "adjoint_body.h"
#include "selective_body.h"

static const spaces_t FN(steady) = {FN(steady_forward), FN(steady_backward), FN(LANE)};
static const spaces_t FN(varying) = {FN(varying_forward), FN(varying_backward), FN(LANE)};
static const selectives_t FN(selective) = {FN(selective_forward), FN(selective_backward)};

#undef VEC
#undef INLINE
