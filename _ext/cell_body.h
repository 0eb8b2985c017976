/* The gated recurrence over time, forward and backward. See cell.h and each_simd.h. */

#include "modes_body.h"
#include "gemm_body.h"
#include "gate_body.h"

WIDE static REAL FN(dot)(ptrdiff_t n, const REAL *restrict x, const REAL *restrict y)
{
    REAL sum = 0;
    SIMD_SUM(sum)
    for (ptrdiff_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

WIDE static void FN(add)(ptrdiff_t n, REAL factor, const REAL *restrict x, REAL *restrict y)
{
    SIMD
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] += factor * x[i];
}

/* (E14) for rows first .. last - 1. */
WIDE static void FN(forward)(const sequence_t *s, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t H = s->n_hidden, G = s->n_outputs, M = s->n_memories, P = 2 * s->modes.n_modes, MP = M * P, B = s->batch;
    TYPED(step_t) step = {.re = scratch, .im = (REAL *)scratch + s->modes.n_modes, .turn = (REAL *)scratch + P};
    REAL *lost = s->lost;
    for (ptrdiff_t t = 0; t < s->length; t++) {
        const ptrdiff_t end = s->active[t] < last ? s->active[t] : last;
        const REAL *memory = (REAL *)s->memory + t * B * MP, *hidden = (REAL *)s->hidden + t * B * H;
        REAL *next_memory = (REAL *)s->memory + (t + 1) * B * MP, *next_hidden = (REAL *)s->hidden + (t + 1) * B * H;
        REAL *act = (REAL *)s->act + t * B * G;
        if (end <= first)
            break;
        for (ptrdiff_t i = first; i < end; i++) {
            FN(prepare)(&s->modes, s->step[t * B + i], &step);
            for (ptrdiff_t m = 0; m < M; m++) {
                const ptrdiff_t at = (t * B + i) * M + m;
                const REAL u = ((const REAL *)s->x)[at] + FN(dot)(H, (const REAL *)s->U + m * H, hidden + i * H);
                ((REAL *)s->u)[at] = u;
                FN(advance)(&s->modes, &step, u, memory + i * MP + m * P, next_memory + i * MP + m * P,
                            lost + i * MP + m * P);
            }
        }
        memcpy(act + first * G, (const REAL *)s->y + (t * B + first) * G, (end - first) * G * sizeof(REAL));
        FN(multiply)(end - first, MP, G, next_memory + first * MP, s->packed, act + first * G);
        for (ptrdiff_t i = first; i < end; i++)
            FN(blend)(s->gate, H, s->step[t * B + i], act + i * G, hidden + i * H, next_hidden + i * H);
    }
}

/* grad_state and grad_memory wait for the last time of their row, from which on they run backwards. */
WIDE static void FN(backward)(const sequence_t *s, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t H = s->n_hidden, G = s->n_outputs, M = s->n_memories, P = 2 * s->modes.n_modes, MP = M * P, B = s->batch;
    TYPED(step_t) step = {.re = scratch, .im = (REAL *)scratch + s->modes.n_modes, .turn = (REAL *)scratch + P};
    REAL *grad_memory = s->grad_memory, *grad = s->grad_state;
    for (ptrdiff_t t = s->length - 1; t >= 0; t--) {
        const ptrdiff_t end = s->active[t] < last ? s->active[t] : last;
        const REAL *memory = (REAL *)s->memory + t * B * MP, *hidden = (REAL *)s->hidden + t * B * H;
        const REAL *next_memory = memory + B * MP, *act = (REAL *)s->act + t * B * G;
        REAL *grad_y = (REAL *)s->grad_y + t * B * G;
        for (ptrdiff_t i = first; i < end; i++) {
            double *grad_step = s->grad_step == NULL ? NULL : s->grad_step + t * B + i;
            if (s->grad_hidden != NULL)
                FN(add)(H, 1, (const REAL *)s->grad_hidden + (t * B + i) * H, grad + i * H);
            const double slope = FN(unblend)(s->gate, H, s->step[t * B + i], act + i * G, hidden + i * H, grad + i * H,
                                             grad_y + i * G);
            if (grad_step != NULL)
                *grad_step = slope;
        }
        if (end > first)
            FN(multiply)(end - first, G, MP, grad_y + first * G, s->packed, grad_memory + first * MP);
        for (ptrdiff_t i = first; i < end; i++) {
            FN(prepare)(&s->modes, s->step[t * B + i], &step);
            for (ptrdiff_t m = 0; m < M; m++) {
                const ptrdiff_t at = (t * B + i) * M + m, of = i * MP + m * P;
                const REAL grad_u = (REAL)FN(retreat)(&s->modes, &step, ((const REAL *)s->u)[at], memory + of, next_memory + of,
                                                      grad_memory + of, s->grad_step ? s->grad_step + t * B + i : NULL);
                ((REAL *)s->grad_x)[at] = grad_u;
                FN(add)(H, grad_u, (const REAL *)s->U + m * H, grad + i * H);
            }
        }
    }
}

/* W as the forward or the backward pass needs it. */
static void FN(prepack)(const sequence_t *s, int backward)
{
    const ptrdiff_t G = s->n_outputs, MP = s->n_memories * 2 * s->modes.n_modes;
    if (backward)
        FN(pack)(G, MP, MP, 1, s->W, s->packed);
    else
        FN(pack)(MP, G, 1, MP, s->W, s->packed);
}

static const kernels_t FN(kernels) = {FN(forward), FN(backward), FN(prepack)};
