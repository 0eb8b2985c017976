/* Diagonal state spaces over whole sequences, forward and backward, for some blocks of channels of some sequences.
 *
 * Every channel h has a state of complex modes x_n and an input u, a broken line (or one that is held):
 *
 *     x' = lambda x + u,   y = 2 Re(sum_n C_n x_n) + D u.
 *
 * Where all steps of a sequence are equal, one of them is x+ = E x + P u_k + Q u_{k+1}. With s = x - Q u there is one product
 * with the input less, s+ = E s + R u_k, R = E Q + P, and y_k = 2 Re(C s_k) + d u_k, d = D + 2 Re(C Q): E, R, C and d are the
 * caller's, for every sequence or for all of them.
 *
 * Where they are not, z = lambda step is another one for every observation. The derivative of x, q = lambda x + u, has
 * q' = lambda q + s, where s is the slope of u. So in a step in which u rises, r = lambda q, what its slope is more than s, has
 *
 *     r+ = r + (e^z - 1) (r + s),   q = mu r,   x = mu (q - u),   mu = 1 / lambda,
 *
 * and q jumps with u where u is held or a step takes no time. Where |z| is small, digits of x would be lost, as many as it is smaller
 * than u / lambda; modes of a sequence keep x, slow_body.h, if it is less than SLOW in most steps, or less than MOST, and than LITTLE
 * over all of them. The unit of time is a
 * power of two that is about the longest step, so that no power of a step or of lambda overflows.
 *
 * Where all are equal, runs of observations are taken at once, runs_body.h.
 *
 * States are never stored but at the beginning of stretches, from where the backward pass computes them again.
 */
#ifndef HIPPO_SSM_H
#define HIPPO_SSM_H

#include "simd.h"
#include "pace.h"

#define STRETCH 64     /* observations */
#define RUN 8          /* observations in a run, where steps are equal */
#define ABREAST 4      /* runs at once */
#define SHORT 32       /* observations of sequences that have no runs */
#define PAIR 2         /* modes at once, where steps differ: while one waits, another goes on */
#define MOST_POWERS 8  /* of the time within a step of slow modes */
#define NO_TIME_float 1e-30   /* steps that are less than this part of the longest take no time */
#define NO_TIME_double 1e-290
#define FARTHEST_float 100    /* exponent of a unit of time */
#define FARTHEST_double 1000
#define SPELL 32       /* observations in a stretch of selective ones */
#define MOST_LANES 16  /* numbers in a vector */

/* All arrays but the steps are of the precision in use; complex ones have real parts before imaginary ones. */
typedef struct {
    ptrdiff_t length, batch, width, n_modes;
    ptrdiff_t n_sets;         /* batch, or 1 if E, R, C and d are those of all sequences */
    int held;
    const ptrdiff_t *lengths; /* (batch,) */
    const double *step;       /* (batch, length) up to each observation, or NULL if they are equal */
    const void *u;            /* (batch, length, width) */
    const void *before;       /* (batch, width) the input before the first one, where steps differ */
    const void *rate;         /* (n_sets, 2, n_modes, width) E, or (1, ...) lambda */
    const void *into, *read;  /* likewise R, or nothing; C */
    const void *pass;         /* (n_sets, width) d, or (1, width) D */
    void *state;              /* (batch, 2, n_modes, width) s or x at the first observation, or before it; becomes the last */
    void *kept;               /* (batch, stretches, 2, n_modes, width) states where stretches begin, or NULL */
    void *y;                  /* (batch, length, width), zero behind the ends */
    /* backward only; all of these are sums over a sequence, for every one of them */
    const void *grad_y;       /* (batch, length, width) */
    void *grad_state;         /* (batch, 2, n_modes, width) of the last state, becomes that of the first */
    void *grad_u, *grad_before;
    void *grad_rate, *grad_into, *grad_read;  /* (batch, 2, n_modes, width) */
    void *grad_pass;          /* (batch, width) */
} space_t;

/* The arrays of a selective one, whose heads, groups of channels, have the same modes: lambda_n = -decay_h + i frequency_n,
 *
 *     x+ = e^z x + (e^z - 1) / lambda B_k u_k,   y_k = 2 Re(C_k x) + D u_k,   z = lambda clock_k.
 *
 * n_modes is a multiple of MOST_LANES. */
typedef struct {
    ptrdiff_t length, batch, width, n_modes, n_heads;
    const ptrdiff_t *lengths;
    const void *clock;             /* (batch, length, n_heads) */
    const void *decay, *frequency; /* (n_heads,), (n_modes,) */
    const void *B, *C;             /* (batch, length, 2, n_modes) */
    const void *through;           /* (width,) D */
    const void *u;                 /* (batch, length, width) */
    void *state;                   /* (batch, width, 2, n_modes) before the first observation, becomes the last */
    void *kept;                    /* (batch, n_heads, stretches, width / n_heads, 2, n_modes) where stretches begin, or NULL */
    void *y;                       /* (batch, length, width) */
    /* backward only */
    const void *grad_y;
    void *grad_state;              /* of the last state, becomes that of the first */
    void *grad_u, *grad_clock;
    void *grad_B, *grad_C;
    void *grad_rate;               /* (batch, n_heads, 2, n_modes) of lambda, added to */
    void *grad_through;            /* (batch, width) added to */
} selective_t;

/* What an item is: some channels of a sequence. */
typedef struct {
    ptrdiff_t b, h, n;  /* sequence, first channel, and how many */
} item_t;

static item_t item_of(const space_t *s, ptrdiff_t i, ptrdiff_t block)
{
    const ptrdiff_t n_blocks = (s->width + block - 1) / block, h = i % n_blocks * block;
    return (item_t){i / n_blocks, h, s->width - h < block ? s->width - h : block};
}

/* How large the z of a stretch are: (e^z - 1) / z is a polynomial of the step, of the lower a degree the smaller they are. It is
 * wrong by no more than a half of a last digit, but is so in the same way at every step, which would show after a thousand of them
 * if z were large. LARGE ones have a table of e^z - 1 for CELLS steps, and the polynomial of what is left of a step. Beyond FAR,
 * angles are reduced with all digits. */
enum { TINY, SMALL, LARGE, FAR, ENDLESS };

#define DEGREE_float(range) ((range) == TINY ? 3 : 5)
#define DEGREE_double(range) ((range) == TINY ? 7 : 10)
#define CELLS 16
#define MORE 4         /* terms that an expansion has beyond its degree, before they are economized */
#define MOST_TERMS 15

static int range_of(double z, double farthest)
{
    return z < 0.145 ? TINY : z < 0.76 ? SMALL : z < 0.76 * CELLS ? LARGE : z < farthest ? FAR : ENDLESS;
}

/* Half of a step that those of a stretch are not longer than: of the sequence's longest one, halved as often as may be, so that
 * most stretches have the same one. */
static double center_of(double longest, double most)
{
    double c = most / 2;
    while (longest > 0 && c >= longest)
        c /= 2;
    return c;
}

/* How slow modes go through a stretch, slow_body.h. */
enum { FEW_POWERS, MANY_POWERS, LEAPS };

typedef void (*space_fn)(const space_t *, ptrdiff_t first, ptrdiff_t last, void *scratch);

typedef struct {
    space_fn forward, backward;
    ptrdiff_t block;  /* channels in an item: item i is block i % n_blocks of sequence i / n_blocks */
} spaces_t;

typedef void (*selective_fn)(const selective_t *, ptrdiff_t first, ptrdiff_t last, void *scratch);

typedef struct {
    selective_fn forward, backward;  /* item i is head i % n_heads of sequence i / n_heads */
} selectives_t;

/* Scratch from where vectors do not lie across two lines of the cache. */
static void *aligned(void *scratch)
{
    return (char *)scratch + (64 - (uintptr_t)scratch % 64) % 64;
}

/* Numbers of scratch that a thread needs, for any instruction set. */
static ptrdiff_t scratch_of(ptrdiff_t n_modes)
{
    return MOST_LANES + MOST_LANES * ((24 + 2 * (4 * RUN + 2)) * n_modes + (8 + 4 * PAIR) * (STRETCH + 1) + 2 * RUN
                         + (2 * MOST_TERMS + 2 * CELLS + 2 * (MOST_POWERS + MORE) + 26) * (n_modes + PAIR) + 2 * STRETCH * (MOST_POWERS + 2) + 2);
}

static ptrdiff_t scratch_of_selective(ptrdiff_t n_modes, ptrdiff_t n_channels)
{
    return MOST_LANES + 2 * MOST_LANES * (n_channels + 1) + 2 * n_modes * (2 * SPELL + 1 + (SPELL + 1) * n_channels);
}

/* What exponential functions are made of: adding ROUNDING, 1.5 2^FRACTION, whose last bit is worth one, rounds to integers. */
typedef int32_t whole_float;
typedef uint32_t positive_float;
#define ROUNDING_float 12582912.0f
#define FRACTION_float 23
#define LEAST_float 87.0f
#define LARGEST_ANGLE_float 3e4f
#define QUARTER_HIGH_float 1.5703125f
#define QUARTER_MIDDLE_float 4.837512969970703125e-4f
#define QUARTER_LOW_float 7.549789948768648e-8f

typedef int64_t whole_double;
typedef uint64_t positive_double;
#define ROUNDING_double 6755399441055744.0
#define FRACTION_double 52
#define LEAST_double 708.0
#define LARGEST_ANGLE_double 1e9
#define QUARTER_HIGH_double 1.57079632673412561417
#define QUARTER_MIDDLE_double 6.07710050630396597660e-11
#define QUARTER_LOW_double 2.02226624879595063154e-21

#define REAL float
#define BODY "ssm_body.h"
#include "each_simd.h"
#undef REAL

#define REAL double
#define BODY "ssm_body.h"
#include "each_simd.h"
#undef REAL

static spaces_t select_spaces(int is_double, int equal)
{
    if (equal)
        return is_double ? IN_USE(steady_double) : IN_USE(steady_float);
    return is_double ? IN_USE(varying_double) : IN_USE(varying_float);
}

static selectives_t select_selectives(int is_double)
{
    return is_double ? IN_USE(selective_double) : IN_USE(selective_float);
}

#endif
