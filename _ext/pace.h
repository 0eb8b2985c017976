/* How long the steps of a sequence are, and which modes of a state space move little in them. See ssm.h. */
#ifndef HIPPO_PACE_H
#define HIPPO_PACE_H

#include "simd.h"

#define SLOW 0.036     /* |z| of slow modes in most steps, */
#define LITTLE 4.      /* or over all of them, */
#define MOST 0.17      /* if it is less than this in most */

/* The greatest of some steps. */
static double longest_of(ptrdiff_t n, const double *steps)
{
    double most = 0;
    for (ptrdiff_t r = 0; r < n; r++)
        most = steps[r] > most ? steps[r] : most;
    return most;
}

/* Up to which step all but a few are: the longest one, halved as often as may be. */
static double reach_of(ptrdiff_t n, const double *steps, double longest)
{
    ptrdiff_t longer[64] = {0}, some = 0;  /* than the longest one, halved k + 1 times, but not k times */
    for (ptrdiff_t r = 0; r < n; r++)
        if (steps[r] > 0) {
            const int k = ilogb(longest / steps[r]);
            longer[k < 63 ? k : 63]++, some++;
        }
    double reach = longest;
    ptrdiff_t few = some < 2 ? 0 : some < 64 ? 1 : some / 32;
    for (int k = 0; k < 63 && longer[k] <= few; k++)
        few -= longer[k], reach /= 2;
    return reach;
}

/* Up to which |lambda| modes are slow. */
static double bound_of(ptrdiff_t n, const double *steps, double reach)
{
    double time = 0;
    for (ptrdiff_t r = 0; r < n; r++)
        time += steps[r];
    const double little = LITTLE / time < MOST / reach ? LITTLE / time : MOST / reach;
    return reach > 0 ? (little > SLOW / reach ? little : SLOW / reach) : INFINITY;
}

/* A power of two, about the longest step, if there is one. */
static double unit_of(double longest, int farthest)
{
    int exponent = 0;
    if (longest > 0)
        frexp(longest, &exponent);
    return ldexp(1, exponent < -farthest ? -farthest : exponent > farthest ? farthest : exponent);
}

/* Of a sequence: its longest step, a unit of time, and, in this unit, up to where all but a few steps are, and up to which |lambda|
 * modes are slow. */
typedef struct {
    double longest, unit, reach, bound;
} pace_t;

static pace_t pace_of(ptrdiff_t n, const double *steps, int farthest)
{
    const double longest = longest_of(n, steps), unit = unit_of(longest, farthest), reach = reach_of(n, steps, longest);
    return (pace_t){longest, unit, reach / unit, bound_of(n, steps, reach) * unit};
}

#endif
