/* All recurrences step in double precision. */
#ifndef HIPPO_SCAN_H
#define HIPPO_SCAN_H

#include "modes.h"
#include "wavefront.h"

#define REAL double
#define BODY "scan_body.h"
#include "each_simd.h"
#undef REAL

#define scan_double IN_USE(scan_double)

#endif
