/* The types and the three instruction sets of one precision: included by cell.h with REAL and TYPED defined. */

/* What a step of one length needs, for all memories of a row. */
typedef struct {
    double h, w, v, q[MAX_RANK][MAX_RANK], inverse[MAX_RANK][MAX_RANK];  /* inverse of I + w q */
    REAL ratio;  /* v / w: phi = (1 + ratio) kappa - ratio */
    REAL *re, *im;  /* kappa */
} TYPED(step_t);

#define ISA baseline
#define TARGET
#include "cell_body.h"
#undef ISA
#undef TARGET

#ifdef HIPPO_X86
#define ISA avx2
#define TARGET __attribute__((target("avx2,fma")))
#include "cell_body.h"
#undef ISA
#undef TARGET

#define ISA avx512
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#include "cell_body.h"
#undef ISA
#undef TARGET
#endif

static pair_t TYPED(select_pair)(void)
{
#ifdef HIPPO_X86
    if (simd.lanes == 8)
        return JOIN(pair, REAL, avx512);
    if (simd.lanes == 4)
        return JOIN(pair, REAL, avx2);
#endif
    return JOIN(pair, REAL, baseline);
}
