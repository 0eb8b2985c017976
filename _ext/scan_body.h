/* The memories of one series, a channel each, from its first observation to its last. See modes.h and each_simd.h. */

#include "modes_body.h"

WIDE static void FN(scan)(const modes_t *m, ptrdiff_t length, ptrdiff_t n_channels, const double *step, const double *f,
                          REAL *memory, REAL *states, REAL *scratch)
{
    const ptrdiff_t P = 2 * m->n_modes;
    TYPED(step_t) s = {.re = scratch, .im = scratch + m->n_modes, .turn = scratch + P};
    REAL *lost = scratch + 3 * m->n_modes, *spare = lost + n_channels * P, *now = memory;
    memset(lost, 0, n_channels * P * sizeof(REAL));
    for (ptrdiff_t k = 0; k < length; k++) {
        REAL *after = states != NULL ? states + k * n_channels * P : now == memory ? spare : memory;
        if (k == 0 || step[k] != step[k - 1])
            FN(prepare)(m, step[k], &s);
        for (ptrdiff_t c = 0; c < n_channels; c++)
            FN(advance)(m, &s, f[k * n_channels + c], now + c * P, after + c * P, lost + c * P);
        now = after;
    }
    if (now != memory)
        memcpy(memory, now, n_channels * P * sizeof(REAL));
}
