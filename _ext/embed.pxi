# Coefficients of functions that fill a part of a window; included by projection.pyx.


def embed(
    const double[:, :, ::1] values,      # IN    (n_series, n_channels, n_nodes) of functions at Gauss nodes
    const double[::1] low,               # IN    (n_series,) where they begin ...
    const double[::1] high,              # IN    (n_series,) ... and end in their new windows, in [0, 1]
    const double[::1] nodes,             # IN    (n_nodes,) in [0, 1], with their ...
    const double[::1] weights,           # IN    (n_nodes,) ... weights
    const double[::1] scale,             # IN    (order,) of the moments
    tuple basis,                         # IN    see _describe; on [-1, 1], with one family
    tuple rules,                         # IN    as in project
    double[:, ::1] scratch,              # WORK  (n_threads, scratch_size(...))
    double[:, :, ::1] out,               # INOUT (n_series, n_channels, order)
):
    """Add to ``out`` the coefficients of functions that are zero outside of a part of their windows."""
    cdef Py_ssize_t i, n_series = values.shape[0]
    cdef int n_threads = scratch.shape[0]
    cdef Work plan
    _describe(&plan, basis, rules, values.shape[1])
    for i in prange(n_series, nogil=True, schedule="static", num_threads=n_threads):
        _embed(plan, nodes.shape[0], &values[i, 0, 0], low[i], high[i], &nodes[0], &weights[0], &scale[0],
               &scratch[threadid(), 0], &out[i, 0, 0])


cdef void _embed(Work work, Py_ssize_t n_nodes, const double* values, double low, double high, const double* nodes,
                 const double* weights, const double* scale, double* scratch, double* out) noexcept nogil:
    """With a copy of the plan, and scratch memory of its own."""
    cdef Nodes* row = &work.kinks
    cdef Py_ssize_t c, i, begin = 0
    cdef double width = high - low
    cdef double* y
    _lay_out(&work, scratch)
    while begin < n_nodes:
        row.count = min(<Py_ssize_t> NODES, n_nodes - begin)
        for i in range(row.count):
            row.r[i] = 2 * (low + width * nodes[begin + i]) - 1
        for c in range(work.n_channels):
            y = row.weights + c * STRIDE
            for i in range(row.count):
                y[i] = values[c * n_nodes + begin + i] * (width * weights[begin + i])
        _add(&work, row, 0, _pad(&work, row))
        begin += NODES
    for c in range(work.n_channels):
        _sum(&work, &work.kink_moments, 0, c, work.columns)
        vectors.multiply_add(work.order, scale, work.columns, out + c * work.order)
