/* The gated recurrent cell over whole sequences, forward and backward, for some rows of a batch.
 *
 * A batch is given time by time, row i of every time being sequence i; the first active[t] rows have not ended at time t.
 * With m_t the memory of a row,
 *
 *     u_t = x_t + U h_{t-1},  m_t = step(m_{t-1}, u_t),  a_t = y_t + W m_t,  h_t = h_{t-1} + gate(a_t) (tanh(a_t) - h_{t-1})
 *
 * where x and y are what the inputs contribute. Only the product with W is a matrix product, one for all rows in every step.
 *
 * The step of a memory is that of modes.h.
 */
#ifndef HIPPO_CELL_H
#define HIPPO_CELL_H

#include "modes.h"

#define PADDING 64

enum { NO_GATE, MGU, TIMED };

/* All arrays are of the precision in use. */
typedef struct {
    ptrdiff_t length, batch, n_hidden, n_outputs, n_memories;  /* n_outputs: 2 n_hidden, or n_hidden without gate */
    int gate;
    modes_t modes;
    const double *step;       /* (length, batch), infinite where a memory starts */
    const ptrdiff_t *active;  /* (length,), does not increase */
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

/* What exponential functions are made of: adding MAGIC, 1.5 2^MANTISSA, whose last bit is worth one, rounds to integers. */
typedef int32_t bits_float;
#define MAGIC_float 12582912.0f
#define MANTISSA_float 23
#define BIAS_float 127
#define LARGEST_float 87.0f
#define TERMS_float 7

typedef int64_t bits_double;
#define MAGIC_double 6755399441055744.0
#define MANTISSA_double 52
#define BIAS_double 1023
#define LARGEST_double 708.0
#define TERMS_double 12

#define REAL float
#define BODY "cell_body.h"
#include "each_simd.h"
#undef REAL

#define REAL double
#define BODY "cell_body.h"
#include "each_simd.h"
#undef REAL

static kernels_t select_kernels(int is_double)
{
    return is_double ? IN_USE(kernels_double) : IN_USE(kernels_float);
}

#endif
