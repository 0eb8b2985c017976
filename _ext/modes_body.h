/* See modes.h and each_simd.h. */

WIDE static void FN(prepare)(const modes_t *m, double h, TYPED(step_t) *s)
{
    const ptrdiff_t K = m->n_modes;
    const double known = h > TYPED(LONGEST) ? TYPED(LONGEST) : h;  /* nothing is left of the past; squares must not overflow */
    const REAL w = (REAL)(m->implicit * known), one = (REAL)(1 + m->implicit * known * m->damping);
    REAL *restrict re = s->re, *restrict im = s->im, *restrict turn = s->turn;
    const REAL *restrict frequency = m->frequency;
    s->h = h > DBL_MAX ? h : known, s->w = m->implicit * known;
    s->decay = (REAL)(-known * m->damping);
    s->ratio = (REAL)(1 / m->implicit - 1);
    if (h > DBL_MAX)
        return;
    REAL slow = 0;
    SIMD_SUM(slow)
    for (ptrdiff_t j = 0; j < K; j++) {
        const REAL part = w * frequency[j], norm = 1 / (one * one + part * part);
        re[j] = one * norm;
        im[j] = part * norm;
        turn[j] = (REAL)known * frequency[j];
        slow += part * part < 1 ? (REAL)1 : 0;
    }
    s->slow = one < 2 ? (ptrdiff_t)slow : 0;
    if (s->slow < K)  /* whole vectors on either side */
        s->slow -= s->slow % (ptrdiff_t)(8 * LANES / sizeof(REAL));
    for (int r = 0; r < m->rank; r++)
        for (int c = 0; c < m->rank; c++) {
            const REAL *restrict a = (const REAL *)m->V + 2 * K * r, *restrict b = (const REAL *)m->V + 2 * K * c;
            REAL sum = 0;
            SIMD_SUM(sum)
            for (ptrdiff_t j = 0; j < K; j++)
                sum += a[j] * (re[j] * b[j] - im[j] * b[K + j]) + a[K + j] * (re[j] * b[K + j] + im[j] * b[j]);
            s->q[r][c] = sum;
        }
    if (m->rank == 1) {
        s->inverse[0][0] = 1 / (1 + s->w * s->q[0][0]);
    } else {
        const double a = 1 + s->w * s->q[0][0], b = s->w * s->q[0][1], c = s->w * s->q[1][0];
        const double d = 1 + s->w * s->q[1][1], determinant = a * d - b * c;
        s->inverse[0][0] = d / determinant, s->inverse[0][1] = -b / determinant;
        s->inverse[1][0] = -c / determinant, s->inverse[1][1] = a / determinant;
    }
}

/* What enters every mode through V: sigma. */
WIDE static void FN(enter)(const modes_t *m, const TYPED(step_t) *s, double f, const REAL *restrict z,
                             double *sigma)
{
    const ptrdiff_t K = m->n_modes;
    const REAL *restrict re = s->re, *restrict im = s->im;
    double right[MAX_RANK];
    for (int r = 0; r < m->rank; r++) {
        const REAL *restrict a = (const REAL *)m->V + 2 * K * r;
        REAL turned = 0;  /* V S z */
        SIMD_SUM(turned)
        for (ptrdiff_t j = 0; j < K; j++)
            turned += a[j] * (re[j] * z[j] - im[j] * z[K + j]) + a[K + j] * (re[j] * z[K + j] + im[j] * z[j]);
        right[r] = m->b[r] * f - turned;
    }
    for (int r = 0; r < m->rank; r++) {
        sigma[r] = 0;
        for (int c = 0; c < m->rank; c++)
            sigma[r] += s->h * s->inverse[r][c] * right[c];
    }
}

/* (E13). ``lost`` is what rounding has taken from z so far: increments that are too small for it would all be lost, always in the
 * same direction. */
WIDE static void FN(advance)(const modes_t *m, const TYPED(step_t) *s, double f, const REAL *restrict z,
                               REAL *restrict made, REAL *restrict lost)
{
    const ptrdiff_t K = m->n_modes;
    if (s->h > DBL_MAX) {  /* the memory starts: all of the past is f */
        for (ptrdiff_t j = 0; j < 2 * K; j++)
            made[j] = (REAL)f * ((const REAL *)m->origin)[j];
        memset(lost, 0, 2 * K * sizeof(REAL));
        return;
    }
    const REAL ratio = s->ratio, decay = s->decay;
    const REAL *restrict re = s->re, *restrict im = s->im, *restrict turn = s->turn, *restrict V = m->V;
    double sigma[MAX_RANK];
    FN(enter)(m, s, f, z, sigma);
    const REAL first = (REAL)sigma[0], second = m->rank > 1 ? (REAL)sigma[1] : 0;
    const REAL *restrict W = m->rank > 1 ? V + 2 * K : V;
    SIMD
    for (ptrdiff_t j = 0; j < s->slow; j++) {
        const REAL x = decay * z[j] - turn[j] * z[K + j] + first * V[j] + second * W[j];
        const REAL y = decay * z[K + j] + turn[j] * z[j] + first * V[K + j] + second * W[K + j];
        const REAL dx = re[j] * x - im[j] * y + lost[j], dy = re[j] * y + im[j] * x + lost[K + j];
        made[j] = z[j] + dx;
        made[K + j] = z[K + j] + dy;
        lost[j] = dx - (made[j] - z[j]);
        lost[K + j] = dy - (made[K + j] - z[K + j]);
    }
    SIMD
    for (ptrdiff_t j = s->slow; j < K; j++) {
        const REAL x = (1 + ratio) * z[j] + first * V[j] + second * W[j];
        const REAL y = (1 + ratio) * z[K + j] + first * V[K + j] + second * W[K + j];
        made[j] = re[j] * x - im[j] * y - ratio * z[j];
        made[K + j] = re[j] * y + im[j] * x - ratio * z[K + j];
        lost[j] = lost[K + j] = 0;
    }
}

/* From the gradient with respect to z+ to that with respect to z, in place; returns the one with respect to f.
 *
 * With l = (I - w A)^-T grad = S^H (grad - w V^T V l): dz = l / a - (1 / a - 1) grad, for slow modes
 * grad + S^H (h lambda^H grad - h V^T V l), df = h B l, dh = l ((1 - a) A z + a A z+ + B f). */
WIDE static double FN(retreat)(const modes_t *m, const TYPED(step_t) *s, double f, const REAL *restrict z,
                                 const REAL *restrict made, REAL *restrict grad, double *slope)
{
    const ptrdiff_t K = m->n_modes;
    if (s->h > DBL_MAX) {
        REAL sum = 0;
        const REAL *restrict origin = m->origin;
        SIMD_SUM(sum)
        for (ptrdiff_t j = 0; j < 2 * K; j++) {
            sum += grad[j] * origin[j];
            grad[j] = 0;
        }
        return sum;
    }
    const REAL ratio = s->ratio, behind = (REAL)(1 - m->implicit), ahead = (REAL)m->implicit;
    const REAL *restrict re = s->re, *restrict im = s->im, *restrict V = m->V, *restrict frequency = m->frequency;
    double right[MAX_RANK], left[MAX_RANK] = {0}, input = 0;
    for (int r = 0; r < m->rank; r++) {
        const REAL *restrict a = V + 2 * K * r;
        REAL sum = 0;
        SIMD_SUM(sum)
        for (ptrdiff_t j = 0; j < K; j++)
            sum += a[j] * (re[j] * grad[j] + im[j] * grad[K + j]) + a[K + j] * (re[j] * grad[K + j] - im[j] * grad[j]);
        right[r] = sum;
    }
    for (int r = 0; r < m->rank; r++) {  /* left = V l */
        for (int c = 0; c < m->rank; c++)
            left[r] += s->inverse[c][r] * right[c];
        input += m->b[r] * left[r];
    }
    const REAL *restrict W = m->rank > 1 ? V + 2 * K : V;
    const REAL w1 = (REAL)(s->w * left[0]), w2 = m->rank > 1 ? (REAL)(s->w * left[1]) : 0;
    if (slope != NULL && s->h < TYPED(LONGEST)) {
        const REAL damping = (REAL)m->damping;
        REAL sum = 0, seen = 0, other = 0;  /* V ((1 - a) z + a z+) */
        SIMD_SUM(sum, seen, other)
        for (ptrdiff_t j = 0; j < K; j++) {
            const REAL x = grad[j] - w1 * V[j] - w2 * W[j], y = grad[K + j] - w1 * V[K + j] - w2 * W[K + j];
            const REAL mid = behind * z[j] + ahead * made[j], mid_i = behind * z[K + j] + ahead * made[K + j];
            sum += (re[j] * x + im[j] * y) * (-damping * mid - frequency[j] * mid_i)
                + (re[j] * y - im[j] * x) * (-damping * mid_i + frequency[j] * mid);
            seen += V[j] * mid + V[K + j] * mid_i;
            other += W[j] * mid + W[K + j] * mid_i;
        }
        *slope += sum + f * input - left[0] * seen - (m->rank > 1 ? left[1] * other : 0);
    }
    const REAL h1 = (REAL)(s->h * left[0]), h2 = m->rank > 1 ? (REAL)(s->h * left[1]) : 0, decay = s->decay;
    const REAL *restrict turn = s->turn;
    SIMD
    for (ptrdiff_t j = 0; j < s->slow; j++) {
        const REAL x = decay * grad[j] + turn[j] * grad[K + j] - h1 * V[j] - h2 * W[j];
        const REAL y = decay * grad[K + j] - turn[j] * grad[j] - h1 * V[K + j] - h2 * W[K + j];
        grad[j] += re[j] * x + im[j] * y;
        grad[K + j] += re[j] * y - im[j] * x;
    }
    SIMD
    for (ptrdiff_t j = s->slow; j < K; j++) {
        const REAL x = grad[j] - w1 * V[j] - w2 * W[j], y = grad[K + j] - w1 * V[K + j] - w2 * W[K + j];
        grad[j] = (1 + ratio) * (re[j] * x + im[j] * y) - ratio * grad[j];
        grad[K + j] = (1 + ratio) * (re[j] * y - im[j] * x) - ratio * grad[K + j];
    }
    return s->h * input;
}
