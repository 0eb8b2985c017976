# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Pooled read-outs of sliding memories, series in parallel; pooling.h has the algebra.

Series lie end to end: u are their observations in cells from their beginning, and n_cells how many cells each has.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, uint64_t

include "simd.pxi"

cdef extern from "pooling.h" nogil:
    ctypedef struct windows_t:
        Py_ssize_t order, n_channels, n_windows, n_kinds, padding
        const int32_t* length
        const int32_t* older
        const int32_t* newer
        const float* merge
        const float* scale
    ctypedef struct readouts_t:
        Py_ssize_t n_readouts
        const int32_t* window
        const int32_t* kind
        const int32_t* first
        const int32_t* second
        const int32_t* sign
        const int32_t* inside
        const int32_t* channels
        const int32_t* channel
        const int32_t* turned
        const int32_t* thresholds
        const float* threshold
    ctypedef struct pairs_t:
        Py_ssize_t n_pairs
        const int32_t* one
        const int32_t* other
        const int32_t* lag
    ctypedef struct pooled_t:
        float* ppv
        float* longest
        float* thirds
        float* spread
        float* both
    Py_ssize_t PADDED(Py_ssize_t)
    Py_ssize_t IN_ROWS(Py_ssize_t)
    enum: ROW, BATCH
    Py_ssize_t fill_windows(const windows_t*, const double*, const double*, Py_ssize_t, Py_ssize_t, float*)
    Py_ssize_t read_out(const windows_t*, const readouts_t*, Py_ssize_t, const float*, Py_ssize_t, Py_ssize_t, float*)
    void pool_ "pool"(const windows_t*, const readouts_t*, const pairs_t*, const float*, Py_ssize_t, Py_ssize_t, float*,
                      uint64_t*, const pooled_t*)

cdef enum:
    MOST = 4  # sets of read-outs that share the windows of a series


cdef class Windows:
    """The windows of a memory, and what they are made of."""

    cdef windows_t w
    cdef object kept  # the arrays that the pointers point to

    def __init__(
        self,
        Py_ssize_t n_channels,
        Py_ssize_t n_kinds,               # 1: of the series, 2: of its slope, too
        Py_ssize_t padding,               # cells
        const int32_t[::1] length,        # (n_windows,) in cells, from 1 on
        const int32_t[::1] older,         # (n_windows,) which window is the older part of one ...
        const int32_t[::1] newer,         # (n_windows,) ... and which the newer
        const float[:, :, :, ::1] merge,  # (n_windows, 2, order, order)
        const float[:, :, :, ::1] scale,  # (n_windows, n_kinds, n_channels, order) or None
    ):
        self.kept = (length, older, newer, merge, scale)
        self.w.order, self.w.n_channels, self.w.n_kinds = merge.shape[2], n_channels, n_kinds
        self.w.n_windows, self.w.padding = length.shape[0], padding
        self.w.length, self.w.older, self.w.newer, self.w.merge = &length[0], &older[0], &newer[0], &merge[0, 0, 0, 0]
        self.w.scale = NULL if scale is None else &scale[0, 0, 0, 0]

    def size(self, Py_ssize_t n_cells):
        """Numbers that all windows of a series of so many cells take, and what is read before and behind them."""
        return (ROW + self.w.n_windows * self.w.n_kinds * self.w.n_channels * self.w.order
                * IN_ROWS(n_cells + 2 * self.w.padding) + 64)


cdef class Readouts:
    """Read-outs, their thresholds, and pairs of these."""

    cdef readouts_t r
    cdef pairs_t p
    cdef object kept

    def __init__(
        self,
        const int32_t[:, ::1] what,       # (6, n_readouts) window, kind, first, second, sign, inside
        const int32_t[::1] channels,      # (n_readouts + 1,)
        const int32_t[:, ::1] channel,    # (2, ...) which, and its sign
        const int32_t[::1] thresholds,    # (n_readouts + 1,)
        const float[::1] threshold,
        const int32_t[:, ::1] pairs,      # (3, n_pairs) 2 threshold + 1 if below it, the other one, its lag; or None
    ):
        self.kept = (what, channels, channel, thresholds, threshold, pairs)
        self.r.n_readouts = what.shape[1]
        self.r.window, self.r.kind, self.r.first = &what[0, 0], &what[1, 0], &what[2, 0]
        self.r.second, self.r.sign, self.r.inside = &what[3, 0], &what[4, 0], &what[5, 0]
        self.r.channels, self.r.channel, self.r.turned = &channels[0], &channel[0, 0], &channel[1, 0]
        self.r.thresholds = &thresholds[0]
        self.r.threshold = &threshold[0] if threshold.shape[0] else NULL
        self.p.n_pairs = 0
        if pairs is not None:
            self.p.n_pairs = pairs.shape[1]
            self.p.one, self.p.other, self.p.lag = &pairs[0, 0], &pairs[1, 0], &pairs[2, 0]

    def n_bits(self, Py_ssize_t n_cells):
        """Words of bits that a series of so many cells takes."""
        return PADDED(n_cells) // 64 * (self.r.thresholds[self.r.n_readouts] if self.p.n_pairs else BATCH)


def add_squares(
    Windows windows,
    const double[::1] u,                 # IN    (n_observations,)
    const double[:, ::1] values,         # IN    (n_observations, n_channels)
    const Py_ssize_t[::1] offsets,       # IN    (n_series + 1,)
    const Py_ssize_t[::1] n_cells,       # IN    (n_series,)
    const Py_ssize_t[::1] which,         # IN    series
    double[:, ::1] squares,              # INOUT (n_windows, n_kinds * n_channels * order)
    double[::1] counts,                  # INOUT (n_windows,)
    float[::1] scratch,                  # WORK  (windows.size(...),)
):
    """Add up the squares of all coefficients, over the positions whose centre is in a series."""
    cdef const windows_t* w = &windows.w
    cdef Py_ssize_t i, k, s, e, j, begin, stride, rows = squares.shape[1]
    cdef const float* row
    cdef double total
    with nogil:
        for j in range(which.shape[0]):
            s = which[j]
            begin = offsets[s]
            stride = fill_windows(w, &u[begin], &values[begin, 0], offsets[s + 1] - begin, n_cells[s], &scratch[0])
            for i in range(w.n_windows):
                counts[i] += n_cells[s]
                for k in range(rows):
                    row = &scratch[ROW + (i * rows + k) * stride + w.padding + w.length[i] // 2]
                    total = 0
                    for e in range(n_cells[s]):
                        total = total + <double> row[e] * row[e]
                    squares[i, k] += total


def trace(
    Windows windows,
    Readouts readouts,
    const double[::1] u,                 # IN    as in add_squares
    const double[:, ::1] values,
    const Py_ssize_t[::1] offsets,
    const Py_ssize_t[::1] n_cells,
    const Py_ssize_t[::1] which,         # IN    (n_drawn,) series
    const Py_ssize_t[::1] begins,        # IN    (n_drawn + 1,) into order
    const Py_ssize_t[::1] order,         # IN    (n_readouts,) read-outs that are traced along a series
    float[:, ::1] z,                     # OUT   (n_readouts, PADDED(most cells))
    Py_ssize_t[::1] n,                   # OUT   (n_readouts,) positions
    float[:, ::1] scratch,               # WORK  (n_threads, windows.size(...))
):
    """Read-outs along one series each."""
    cdef Py_ssize_t j, n_drawn = which.shape[0]
    cdef int n_threads = scratch.shape[0]
    for j in prange(n_drawn, nogil=True, schedule="dynamic", num_threads=n_threads):
        _trace(&windows.w, &readouts.r, u, values, offsets, n_cells, which[j], begins[j], begins[j + 1], order, z, n,
               &scratch[threadid(), 0])


cdef void _trace(const windows_t* w, const readouts_t* r, const double[::1] u, const double[:, ::1] values,
                 const Py_ssize_t[::1] offsets, const Py_ssize_t[::1] n_cells, Py_ssize_t s, Py_ssize_t first,
                 Py_ssize_t last, const Py_ssize_t[::1] order, float[:, ::1] z, Py_ssize_t[::1] n,
                 float* bank) noexcept nogil:
    cdef Py_ssize_t j, begin = offsets[s]
    cdef Py_ssize_t stride = fill_windows(w, &u[begin], &values[begin, 0], offsets[s + 1] - begin, n_cells[s], bank)
    for j in range(first, last):
        n[order[j]] = read_out(w, r, order[j], bank, n_cells[s], stride, &z[order[j], 0])


def pool(
    Windows windows,
    list sets,                           # IN    of Readouts
    const Py_ssize_t[:, ::1] columns,    # IN    (n_sets, 5) where pooled_t is in out, -1 for none
    const double[::1] u,                 # IN    as in add_squares
    const double[:, ::1] values,
    const Py_ssize_t[::1] offsets,
    const Py_ssize_t[::1] n_cells,
    float[:, ::1] scratch,               # WORK  (n_threads, windows.size(...))
    float[:, ::1] trace,                 # WORK  (n_threads, PADDED(most cells))
    uint64_t[:, ::1] bits,               # WORK  (n_threads, most of the sets' n_bits(...))
    float[:, ::1] out,                   # OUT   (n_series, n_columns)
):
    """Fill the columns of ``out`` with the features of all series."""
    cdef readouts_t[MOST] r
    cdef pairs_t[MOST] p
    cdef Readouts own
    cdef Py_ssize_t i, n_series = n_cells.shape[0], n_sets = len(sets)
    cdef int n_threads = scratch.shape[0]
    for i in range(n_sets):
        own = sets[i]
        r[i], p[i] = own.r, own.p
    for i in prange(n_series, nogil=True, schedule="dynamic", num_threads=n_threads):
        _pool(&windows.w, n_sets, r, p, columns, &u[offsets[i]], &values[offsets[i], 0], offsets[i + 1] - offsets[i],
              n_cells[i], &scratch[threadid(), 0], &trace[threadid(), 0], &bits[threadid(), 0], &out[i, 0])


cdef void _pool(const windows_t* w, Py_ssize_t n_sets, const readouts_t* r, const pairs_t* p,
                const Py_ssize_t[:, ::1] columns, const double* u, const double* values, Py_ssize_t length,
                Py_ssize_t n_cells, float* bank, float* z, uint64_t* bits, float* out) noexcept nogil:
    cdef Py_ssize_t i, stride = fill_windows(w, u, values, length, n_cells, bank)
    cdef pooled_t own
    for i in range(n_sets):
        own.ppv = NULL if columns[i, 0] < 0 else out + columns[i, 0]
        own.longest = NULL if columns[i, 1] < 0 else out + columns[i, 1]
        own.thirds = NULL if columns[i, 2] < 0 else out + columns[i, 2]
        own.spread = NULL if columns[i, 3] < 0 else out + columns[i, 3]
        own.both = NULL if columns[i, 4] < 0 else out + columns[i, 4]
        pool_(w, &r[i], &p[i], bank, n_cells, stride, z, bits, &own)
