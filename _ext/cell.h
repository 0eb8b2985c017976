/* The gated recurrent cell over whole sequences, forward and backward, for some rows of a batch.
 *
 * A batch is given time by time, row i of every time being sequence i; the first active[t] rows have not ended at time t.
 * With m_t the memory of a row,
 *
 *     u_t = x_t + U h_{t-1},  m_t = step(m_{t-1}, u_t),  a_t = y_t + W m_t,  h_t = h_{t-1} + gate(a_t) (tanh(a_t) - h_{t-1})
 *
 * where x and y are what the inputs contribute. Only the product with W is a matrix product, one for all rows in every step.
 *
 * The memory is kept in coordinates in which its dynamics are normal plus low rank (Modes of _measures.py): z_j + i z_{K+j}
 * is a complex mode, lambda_j = i frequency_j - damping, and
 *
 *     z' = lambda z - V^T V z + V^T b f.
 *
 * An implicit step, weight a on the new state, is (I - w A) z+ = (I + (1 - a) h A) z + h B f with w = a h. With
 * kappa = 1 / (1 - w lambda) and q = V kappa V^T, a system of the size of the rank is left,
 *
 *     (I + w q) sigma = h (b f - V kappa z),   z+ = kappa (z / a + V^T sigma) - (1 / a - 1) z,
 *
 * in which nothing large cancels, however long the step: h V kappa and h (I + w q)^{-1} are bounded where they meet.
 *
 * Where |w lambda| < 1, z+ = z + kappa (h lambda z + V^T sigma) is the same. There many steps are remembered: the rounding
 * of kappa / a - 1 / a + 1, a number near 1 and the same in every step, would add up over all of them, as that of small
 * increments does not; what the sum loses of them is carried on (Kahan). Modes are in the order of their frequencies, so that the slow ones are the first.
 */
#ifndef HIPPO_CELL_H
#define HIPPO_CELL_H

#include <float.h>
#include <stdint.h>
#include "moments.h"

#define MAX_RANK 2
#define PADDING 64

enum { NO_GATE, MGU, TIMED };

/* All arrays are of the precision in use. */
typedef struct {
    ptrdiff_t length, batch, n_hidden, n_outputs, n_memories, n_modes;  /* n_outputs: 2 n_hidden, or n_hidden without gate */
    int rank, gate;
    double damping, implicit, b[MAX_RANK];
    const double *step;       /* (length, batch), infinite where a memory starts */
    const ptrdiff_t *active;  /* (length,), does not increase */
    const void *frequency;    /* (n_modes,) */
    const void *V;            /* (rank, 2 n_modes) */
    const void *origin;       /* (2 n_modes,) the memory of a constant 1 */
    const void *x, *y;        /* (length, batch, n_memories), (length, batch, n_outputs) */
    const void *U, *W;        /* (n_memories, n_hidden), (n_outputs, n_memories * 2 n_modes) */
    void *u;                  /* (length, batch, n_memories) */
    void *lost;               /* (batch, n_memories * 2 n_modes) of the memory in rounding, forward only; zero at first */
    void *memory, *hidden;    /* (length + 1, batch, n_memories * 2 n_modes), (length + 1, batch, n_hidden), from before */
    void *act;                /* (length, batch, n_outputs) values of tanh and gate */
    /* backward only */
    const void *grad_hidden;  /* (length, batch, n_hidden) or NULL */
    void *grad_x, *grad_y;    /* as x and y */
    void *grad_state;         /* (batch, n_hidden) of the last hidden state; becomes that of the first */
    void *grad_memory;        /* (batch, n_memories * 2 n_modes) likewise */
    double *grad_step;        /* (length, batch) or NULL */
    void *packed;             /* (n_outputs + PADDING) (n_memories * 2 n_modes + PADDING) numbers for W, repacked */
} sequence_t;

typedef void (*sequence_fn)(const sequence_t *, ptrdiff_t first, ptrdiff_t last, void *scratch);

typedef struct {
    sequence_fn forward, backward;
    void (*prepack)(const sequence_t *, int backward);
} kernels_t;

/* sums over modes may be reordered; a compiler without OpenMP ignores the request */
#define PRAGMA(x) _Pragma(#x)
#if defined(__GNUC__)
#define SIMD PRAGMA(omp simd)
#define SIMD_SUM(...) PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define SIMD
#define SIMD_SUM(...)
#endif

#define JOIN_(f, precision, isa) f##_##precision##_##isa
#define JOIN(f, precision, isa) JOIN_(f, precision, isa)

#define REAL float
#define INT int32_t
#define MAGIC 12582912.0f   /* 1.5 2^23: its last bit is worth one, so that adding it rounds to an integer */
#define MANTISSA 23
#define BIAS 127
#define LARGEST 87.0f
#define LONGEST 1e9
#define TERMS 7
#define TYPED(f) f##_float
#include "cell_dispatch.h"

#define REAL double
#define INT int64_t
#define MAGIC 6755399441055744.0
#define MANTISSA 52
#define BIAS 1023
#define LARGEST 708.0
#define LONGEST 1e100
#define TERMS 12
#define TYPED(f) f##_double
#include "cell_dispatch.h"

static kernels_t select_kernels(int is_double)
{
    return is_double ? select_double() : select_float();
}

#endif
