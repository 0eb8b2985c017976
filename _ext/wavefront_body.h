/* See wavefront.h and each_simd.h. */

#if LANES > 1
typedef double NAME(wave) __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
#else
typedef double NAME(wave);
#endif

/* LANES steps (E11) of one channel. Lane j makes step k + j and is j coefficients behind lane 0, so that it finds in lane j - 1
 * of the last turn what that step has just made of its coefficient. The factors are reversed and padded with zeros, which
 * leave a coefficient as it is, and so do steps of zero length. */
TARGET static void NAME(wavefront)(ptrdiff_t order, double implicit, const factors_t *factors, const double *step,
                                   const double *f, double *c, double *states, ptrdiff_t stride, ptrdiff_t n_states,
                                   double *diagonals)
{
    typedef NAME(wave) wave;
    const wave h = *(const wave *)step, input = h * *(const wave *)f;
    const wave ahead = implicit * h, behind = h - ahead;
    wave before = input * 0, after = before, made = before, old;
    for (ptrdiff_t i = 0; i < order + LANES - 1; i++) {
        /* reversed arrays: element order + LANES - 2 - i of lane 0 is n = i, and lane j follows with n = i - j */
        const ptrdiff_t at = order + LANES - 2 - i;
        const wave d = *(const wave *)(factors->d + at), p = *(const wave *)(factors->p + at);
        const wave q = *(const wave *)(factors->q + at), b = *(const wave *)(factors->b + at);
        wave entering = input * 0;
#if LANES > 1
        entering[0] = i < order ? c[i] : 0;
        old = JOIN(SHIFT, LANES)(made, entering);
#else
        old = i < order ? c[i] : 0;
#endif
        /* in an order that keeps all but three operations out of the chain from one coefficient to the next */
        const wave inverse = 1 / (1 + ahead * d), weight = ahead * p;
        made = (old - behind * (d * old + p * before) + input * b - weight * after) * inverse;
        before += q * old;
        after += q * made;
#if LANES > 1
        if (i >= LANES - 1)
            c[i - (LANES - 1)] = made[LANES - 1];
#else
        c[i] = made;
#endif
        if (states != NULL)
            *(wave *)(diagonals + i * LANES) = made;
    }
    if (states != NULL)
        for (ptrdiff_t j = 0; j < n_states; j++)
            for (ptrdiff_t n = 0; n < order; n++)
                states[j * stride + n] = diagonals[(n + j) * LANES + j];
}
