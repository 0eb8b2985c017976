/* The body of cell.h, included once per precision and instruction set. */

#define FN(f) JOIN(f, REAL, ISA)

TARGET static void FN(prepare)(const sequence_t *m, double h, TYPED(step_t) *s)
{
    const ptrdiff_t K = m->n_modes;
    const double known = h > LONGEST ? LONGEST : h;  /* nothing is left of the past; squares must not overflow */
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
        s->slow -= s->slow % (ptrdiff_t)(BYTES / sizeof(REAL));
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
TARGET static void FN(enter)(const sequence_t *m, const TYPED(step_t) *s, double f, const REAL *restrict z,
                             double *sigma)
{
    const ptrdiff_t K = m->n_modes;
    const REAL *restrict re = s->re, *restrict im = s->im;
    double right[MAX_RANK];
    for (int r = 0; r < m->rank; r++) {
        const REAL *restrict a = (const REAL *)m->V + 2 * K * r;
        REAL turned = 0;  /* V kappa z */
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

/* ``lost`` is what rounding has taken from z so far: increments that are too small for it would all be lost, always in the
 * same direction. */
TARGET static void FN(advance)(const sequence_t *m, const TYPED(step_t) *s, double f, const REAL *restrict z,
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
 * With l = (I - w A)^-T grad = kappa^H (grad - w V^T V l): dz = l / a - (1 / a - 1) grad, for slow modes
 * grad + kappa^H (h lambda^H grad - h V^T V l), df = h B l, dh = l ((1 - a) A z + a A z+ + B f). */
TARGET static double FN(retreat)(const sequence_t *m, const TYPED(step_t) *s, double f, const REAL *restrict z,
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
    if (slope != NULL && s->h < LONGEST) {
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

TARGET static REAL FN(dot)(ptrdiff_t n, const REAL *restrict x, const REAL *restrict y)
{
    REAL sum = 0;
    SIMD_SUM(sum)
    for (ptrdiff_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

TARGET static void FN(add)(ptrdiff_t n, REAL factor, const REAL *restrict x, REAL *restrict y)
{
    SIMD
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] += factor * x[i];
}

/* --- C += A W, with few rows of A at a time and the same W in every step: it is packed once ------------------------ */

typedef REAL FN(vector) __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));

enum { FN(WIDTH) = sizeof(FN(vector)) / sizeof(REAL), FN(PANEL) = FN(WIDTH) * TILE_VECTORS };

/* Panels of as many columns as a tile has, each of them contiguous by rows; the last one is filled with zeros. */
static void FN(pack)(ptrdiff_t inner, ptrdiff_t columns, ptrdiff_t by_row, ptrdiff_t by_column, const REAL *W, REAL *packed)
{
    for (ptrdiff_t first = 0; first < columns; first += FN(PANEL))
        for (ptrdiff_t k = 0; k < inner; k++)
            for (ptrdiff_t j = first; j < first + FN(PANEL); j++)
                *packed++ = j < columns ? W[k * by_row + j * by_column] : 0;
}

/* m rows of one panel: all sums stay in registers. */
TARGET static inline __attribute__((always_inline)) void FN(tile)(const int m, ptrdiff_t inner, const REAL *A,
                                                                  const REAL *panel, REAL *C, ptrdiff_t stride,
                                                                  ptrdiff_t columns)
{
    typedef FN(vector) vector;
    vector sums[TILE_ROWS][TILE_VECTORS];
    REAL last[FN(PANEL)];
    for (int r = 0; r < m; r++)
        for (int v = 0; v < TILE_VECTORS; v++)
            sums[r][v] = (vector){0};
    for (ptrdiff_t k = 0; k < inner; k++, panel += FN(PANEL)) {
        vector w[TILE_VECTORS];
        for (int v = 0; v < TILE_VECTORS; v++)
            w[v] = *(const vector *)(panel + v * FN(WIDTH));
        for (int r = 0; r < m; r++)
            for (int v = 0; v < TILE_VECTORS; v++)
                sums[r][v] += A[r * inner + k] * w[v];
    }
    for (int r = 0; r < m; r++, C += stride) {
        if (columns >= FN(PANEL)) {
            for (int v = 0; v < TILE_VECTORS; v++)
                *(vector *)(C + v * FN(WIDTH)) += sums[r][v];
        } else {
            for (int v = 0; v < TILE_VECTORS; v++)
                *(vector *)(last + v * FN(WIDTH)) = sums[r][v];
            for (ptrdiff_t j = 0; j < columns; j++)
                C[j] += last[j];
        }
    }
}

TARGET static void FN(multiply)(ptrdiff_t rows, ptrdiff_t inner, ptrdiff_t columns, const REAL *A, const REAL *packed,
                                REAL *C)
{
    for (ptrdiff_t j = 0; j < columns; j += FN(PANEL), packed += inner * FN(PANEL)) {
        ptrdiff_t i = 0;
        for (; i + TILE_ROWS <= rows; i += TILE_ROWS)
            FN(tile)(TILE_ROWS, inner, A + i * inner, packed, C + i * columns + j, columns, columns - j);
        for (; i + 2 <= rows; i += 2)
            FN(tile)(2, inner, A + i * inner, packed, C + i * columns + j, columns, columns - j);
        for (; i < rows; i++)
            FN(tile)(1, inner, A + i * inner, packed, C + i * columns + j, columns, columns - j);
    }
}

/* --- the hidden state ------------------------------------------------------------------------------------------------ */

/* exp(x) = 2^i exp(x - i log 2), in a form that compilers vectorize; saturates instead of overflowing. */
TARGET static inline REAL FN(exponential)(REAL x)
{
    static const REAL log2e = (REAL)1.44269504088896340736, high = (REAL)0.693145751953125,
                      low = (REAL)1.42860682030941723212e-6;
    x = x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : x;
    const REAL shifted = x * log2e + MAGIC, whole = shifted - MAGIC, magic = MAGIC;
    const REAL r = (x - whole * high) - whole * low;
    REAL sum = 1;
    for (int n = TERMS; n > 0; n--)
        sum = 1 + sum * r * ((REAL)1 / n);
    INT bits, base;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&base, &magic, sizeof base);
    bits = (bits - base + BIAS) << MANTISSA;
    REAL scale;
    memcpy(&scale, &bits, sizeof scale);
    return sum * scale;
}

/* The new hidden state from the old one and act: the arguments of tanh and, from n on, of the gate. They are replaced by
 * tanh and gate, or for the timed gate, 1 - exp(-h exp(x)), by its rate exp(x). */
TARGET static void FN(blend)(int gate, ptrdiff_t n, double h, REAL *restrict act, const REAL *restrict hidden,
                             REAL *restrict after)
{
    REAL *restrict opening = act + n;
    const REAL step = (REAL)(h > LONGEST ? LONGEST : h);
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
TARGET static double FN(unblend)(int gate, ptrdiff_t n, double h, const REAL *restrict act, const REAL *restrict hidden,
                                 REAL *restrict grad, REAL *restrict grad_act)
{
    const REAL *restrict opening = act + n;
    REAL *restrict grad_opening = grad_act + n;
    const REAL step = (REAL)(h > LONGEST ? LONGEST : h);
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

TARGET static void FN(forward)(const sequence_t *s, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t H = s->n_hidden, G = s->n_outputs, M = s->n_memories, P = 2 * s->n_modes, MP = M * P, B = s->batch;
    TYPED(step_t) step = {.re = scratch, .im = (REAL *)scratch + s->n_modes, .turn = (REAL *)scratch + P};
    REAL *lost = s->lost;
    for (ptrdiff_t t = 0; t < s->length; t++) {
        const ptrdiff_t end = s->active[t] < last ? s->active[t] : last;
        const REAL *memory = (REAL *)s->memory + t * B * MP, *hidden = (REAL *)s->hidden + t * B * H;
        REAL *next_memory = (REAL *)s->memory + (t + 1) * B * MP, *next_hidden = (REAL *)s->hidden + (t + 1) * B * H;
        REAL *act = (REAL *)s->act + t * B * G;
        if (end <= first)
            break;
        for (ptrdiff_t i = first; i < end; i++) {
            FN(prepare)(s, s->step[t * B + i], &step);
            for (ptrdiff_t m = 0; m < M; m++) {
                const ptrdiff_t at = (t * B + i) * M + m;
                const REAL u = ((const REAL *)s->x)[at] + FN(dot)(H, (const REAL *)s->U + m * H, hidden + i * H);
                ((REAL *)s->u)[at] = u;
                FN(advance)(s, &step, u, memory + i * MP + m * P, next_memory + i * MP + m * P,
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
TARGET static void FN(backward)(const sequence_t *s, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t H = s->n_hidden, G = s->n_outputs, M = s->n_memories, P = 2 * s->n_modes, MP = M * P, B = s->batch;
    TYPED(step_t) step = {.re = scratch, .im = (REAL *)scratch + s->n_modes, .turn = (REAL *)scratch + P};
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
            FN(prepare)(s, s->step[t * B + i], &step);
            for (ptrdiff_t m = 0; m < M; m++) {
                const ptrdiff_t at = (t * B + i) * M + m, of = i * MP + m * P;
                const REAL grad_u = (REAL)FN(retreat)(s, &step, ((const REAL *)s->u)[at], memory + of, next_memory + of,
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
    const ptrdiff_t G = s->n_outputs, MP = s->n_memories * 2 * s->n_modes;
    if (backward)
        FN(pack)(G, MP, MP, 1, s->W, s->packed);
    else
        FN(pack)(MP, G, 1, MP, s->W, s->packed);
}

static const kernels_t FN(kernels) = {FN(forward), FN(backward), FN(prepack)};

#undef FN
