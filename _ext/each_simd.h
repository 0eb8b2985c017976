/* Compile BODY for every instruction set, with
 *
 *     ISA     its name, which NAME and FN append to those of functions and types,
 *     LANES   the doubles in one of its vectors,
 *     TARGET  what a function needs in front to be compiled for it, and WIDE if loops shall use its longest vectors.
 */
#define ISA baseline
#define LANES BASELINE_LANES
#define TARGET
#define WIDE
#include BODY
#undef ISA
#undef LANES
#undef TARGET
#undef WIDE

#ifdef HIPPO_X86
#define ISA avx2
#define LANES 4
#define TARGET __attribute__((target("avx2,fma")))
#define WIDE TARGET
#include BODY
#undef ISA
#undef LANES
#undef TARGET
#undef WIDE

#define ISA avx512
#define LANES 8
#define TARGET __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma")))
#if defined(__clang__)  /* which drops a target of which it does not know a part */
#define WIDE TARGET
#else
#define WIDE __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#endif
#include BODY
#undef ISA
#undef LANES
#undef TARGET
#undef WIDE
#endif

#undef BODY
