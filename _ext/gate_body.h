/* The hidden state, from the arguments of tanh and gate. See cell.h and each_simd.h. */

/* exp(x) = 2^i exp(x - i log 2), in a form that compilers vectorize; saturates instead of overflowing. */
WIDE static inline REAL FN(exponential)(REAL x)
{
    static const REAL log2e = (REAL)1.44269504088896340736, high = (REAL)0.693145751953125,
                      low = (REAL)1.42860682030941723212e-6;
    x = x > TYPED(LARGEST) ? TYPED(LARGEST) : x < -TYPED(LARGEST) ? -TYPED(LARGEST) : x;
    const REAL shifted = x * log2e + TYPED(MAGIC), whole = shifted - TYPED(MAGIC), magic = TYPED(MAGIC);
    const REAL r = (x - whole * high) - whole * low;
    REAL sum = 1;
    for (int n = TYPED(TERMS); n > 0; n--)
        sum = 1 + sum * r * ((REAL)1 / n);
    TYPED(bits) bits, base;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&base, &magic, sizeof base);
    bits = (bits - base + TYPED(BIAS)) << TYPED(MANTISSA);
    REAL scale;
    memcpy(&scale, &bits, sizeof scale);
    return sum * scale;
}

/* The new hidden state from the old one and act: the arguments of tanh and, from n on, of the gate. They are replaced by
 * tanh and gate, or for the timed gate (E15), 1 - exp(-h exp(x)), by its rate exp(x). */
WIDE static void FN(blend)(int gate, ptrdiff_t n, double h, REAL *restrict act, const REAL *restrict hidden,
                             REAL *restrict after)
{
    REAL *restrict opening = act + n;
    const REAL step = (REAL)(h > TYPED(LONGEST) ? TYPED(LONGEST) : h);
    SIMD
    for (ptrdiff_t i = 0; i < n; i++)
        act[i] = 1 - 2 / (1 + FN(exponential)(2 * act[i]));
    if (gate == NO_GATE) {
        memcpy(after, act, n * sizeof(REAL));
    } else if (gate == MGU) {
        SIMD
        for (ptrdiff_t i = 0; i < n; i++) {
            opening[i] = 1 / (1 + FN(exponential)(-opening[i]));
            after[i] = hidden[i] + opening[i] * (act[i] - hidden[i]);
        }
    } else if (h > DBL_MAX) {
        memcpy(after, act, n * sizeof(REAL));
    } else {
        SIMD
        for (ptrdiff_t i = 0; i < n; i++) {
            opening[i] = FN(exponential)(opening[i]);
            after[i] = act[i] + FN(exponential)(-step * opening[i]) * (hidden[i] - act[i]);
        }
    }
}

/* From the gradient with respect to the new hidden state to that with respect to the old one, in place, and with respect
 * to the arguments; returns the one with respect to the step. */
WIDE static double FN(unblend)(int gate, ptrdiff_t n, double h, const REAL *restrict act, const REAL *restrict hidden,
                                 REAL *restrict grad, REAL *restrict grad_act)
{
    const REAL *restrict opening = act + n;
    REAL *restrict grad_opening = grad_act + n;
    const REAL step = (REAL)(h > TYPED(LONGEST) ? TYPED(LONGEST) : h);
    REAL sum = 0;
    if (gate == NO_GATE || (gate == TIMED && h > DBL_MAX)) {
        SIMD
        for (ptrdiff_t i = 0; i < n; i++) {
            grad_act[i] = grad[i] * (1 - act[i] * act[i]);
            grad[i] = 0;
        }
        if (gate == TIMED)
            memset(grad_opening, 0, n * sizeof(REAL));
    } else if (gate == MGU) {
        SIMD
        for (ptrdiff_t i = 0; i < n; i++) {
            grad_act[i] = grad[i] * opening[i] * (1 - act[i] * act[i]);
            grad_opening[i] = grad[i] * (act[i] - hidden[i]) * opening[i] * (1 - opening[i]);
            grad[i] *= 1 - opening[i];
        }
    } else {
        SIMD_SUM(sum)
        for (ptrdiff_t i = 0; i < n; i++) {
            const REAL stays = FN(exponential)(-step * opening[i]);
            const REAL slope = grad[i] * (act[i] - hidden[i]) * stays * opening[i];
            grad_act[i] = grad[i] * (1 - stays) * (1 - act[i] * act[i]);
            grad_opening[i] = step * slope;
            sum += slope;
            grad[i] *= stays;
        }
    }
    return sum;
}
