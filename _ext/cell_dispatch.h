/* The types and the three instruction sets of one precision: included by cell.h, which defines what differs between
 * precisions; undefined here. */

/* What a step of one length needs, for all memories of a row. */
typedef struct {
    double h, w, q[MAX_RANK][MAX_RANK], inverse[MAX_RANK][MAX_RANK];  /* inverse of I + w q */
    REAL ratio;           /* 1 / a - 1 */
    REAL decay;           /* the real part of h lambda */
    REAL *re, *im;        /* kappa */
    REAL *turn;           /* the imaginary part of h lambda */
    ptrdiff_t slow;       /* as many modes, the first ones, are stepped by their increments */
} TYPED(step_t);

#define ISA baseline
#define BYTES 16
#define TILE_ROWS 4
#define TILE_VECTORS 2
#define TARGET
#include "cell_body.h"
#undef ISA
#undef BYTES
#undef TILE_ROWS
#undef TILE_VECTORS
#undef TARGET

#ifdef HIPPO_X86
#define ISA avx2
#define BYTES 32
#define TILE_ROWS 4
#define TILE_VECTORS 3
#define TARGET __attribute__((target("avx2,fma")))
#include "cell_body.h"
#undef ISA
#undef BYTES
#undef TILE_ROWS
#undef TILE_VECTORS
#undef TARGET

#define ISA avx512
#define BYTES 64
#define TILE_ROWS 8
#define TILE_VECTORS 3
#if defined(__clang__)  /* which drops a target of which it does not know a part */
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))
#else
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#endif
#include "cell_body.h"
#undef ISA
#undef BYTES
#undef TILE_ROWS
#undef TILE_VECTORS
#undef TARGET
#endif

static kernels_t TYPED(select)(void)
{
#ifdef HIPPO_X86
    if (simd.lanes == 8)
        return JOIN(kernels, REAL, avx512);
    if (simd.lanes == 4)
        return JOIN(kernels, REAL, avx2);
#endif
    return JOIN(kernels, REAL, baseline);
}

#undef REAL
#undef INT
#undef MAGIC
#undef MANTISSA
#undef BIAS
#undef LARGEST
#undef LONGEST
#undef TERMS
#undef TYPED
