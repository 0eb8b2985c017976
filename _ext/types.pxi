# What one thread works with, and how it shares out its scratch memory; included by projection.pyx.

cdef enum:
    CHUNK = 256        # points that are read at a time
    NODES = 512        # nodes that wait for each other
    STRIDE = NODES + 8  # of one row of nodes or points in the scratch memory
    LEVELS = 3         # rows of jumps: as they come, those that stand for many, and those that stand for many of these
    MAX_GAUSS = 8
    MAX_LOCAL = 96     # Chebyshev nodes that may stand for a dense row
    MAX_RULES = 16     # numbers of Chebyshev nodes to choose from
    FOLD = 128         # nodes whose moments a lane adds up by itself
    FEW = 32           # nodes that are not worth a substitute
    SOME = 64          # segments that are looked at together

cdef struct Chart:     # how a basis is laid out along r; charts.pxi has them all
    bint endless       # the window has no beginning: r <= 0 counts timescales
    bint steep         # functions have infinite slopes at the ends, where r has lost the distance e
    double turn        # of a function of order n along dr, in phases n dr, wherever on the axis: at least so much
    void (*place)(int, Py_ssize_t, const double*, const double*, double*) noexcept nogil
    void (*extras)(Py_ssize_t, const double*, const double*, const double*, double*) noexcept nogil
    double (*half_phase)(double, double, double) noexcept nogil
    double (*decay)(double, double) noexcept nogil

cdef struct Moments:
    bint used, folded
    Py_ssize_t count   # nodes in the sums
    double* sums       # (n_families, n_channels, n_moments, lanes)
    double* totals     # (n_families, n_channels, n_moments) of the nodes before these, if there were many
    double* extras     # (n_channels, 2)

cdef struct Nodes:     # a row of nodes that wait for the kernel, in the order of r, and where their moments go
    Py_ssize_t count
    double* r          # (STRIDE,)
    double* e          # (STRIDE,) of the Chebyshev chart only
    double* weights    # (n_channels, STRIDE)
    Moments* moments

cdef struct Observed:  # the neighbours of a point among a channel's own observations; -1 and length: none
    Py_ssize_t last, next

cdef struct Run:       # column[target + i target_step] += weights[i] column[source + i source_step], in turn
    Py_ssize_t target, target_step, source, source_step, length

cdef struct Integration:  # of a basis: runs over columns, which are the moments and then those that follow
    Py_ssize_t n_columns, n_runs
    const Run* runs
    const double* weights      # of all runs, one after the other

cdef struct Grid:      # of the last series, if it has no times of its own and all its points are in r, gap and inverse
    Py_ssize_t length  # or 0
    double unit, least, widest

cdef struct Work:      # all that one thread needs
    Grid* grid
    Chart chart
    Py_ssize_t n_channels, order, n_families
    bint same          # whether the grid is that of the last series
    double unit        # 1, or SMALLER: of the values
    double short_gap
    Observed* near     # (n_channels,)
    double low, high   # the range of r; 0 and 1, so that r counts timescales, where it has no end
    double reach       # how many timescales of the past are not negligible
    recurrence_t recurrence
    Integration integration
    const double* gauss       # (MAX_GAUSS, 1 + 2 MAX_GAUSS): limit of the half phase, nodes, weights
    const double* local       # (n_local, 2 + MAX_LOCAL (1 + MAX_LOCAL)): number, limit, places, moments by weights
    Py_ssize_t n_local
    double[MAX_RULES] numbers, limits  # of the rows of local, side by side
    const double* ones        # (MAX_LOCAL,)
    Moments jump_moments, kink_moments
    Nodes[LEVELS] jumps
    Nodes kinks
    double* local_sums        # (n_channels, MAX_LOCAL, lanes)
    double* local_moments     # (n_channels, MAX_LOCAL)
    double origin, lead  # the window opens at origin - lead
    double* r          # (STRIDE,) positions of the points of a chunk and of the one after it
    double* e          # (STRIDE,)
    double* gap        # (STRIDE,)
    double* inverse    # (STRIDE,)
    double* slope      # (STRIDE,)
    double* y          # (n_channels, STRIDE)
    double* before     # (n_channels,) slope of the last segment of the previous chunk
    double* last       # (n_channels,) last values
    double* node       # (3, STRIDE) x, p_0 and p_{-1} of the nodes
    double* columns    # moments and extras of the jumps and kinks of one channel, and what follows from them


cdef double* _take(double* scratch, Py_ssize_t* taken, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t begin = taken[0]
    taken[0] += (size + 7) // 8 * 8
    return NULL if scratch == NULL else scratch + begin


cdef Py_ssize_t _lay_out(Work* work, double* scratch) noexcept nogil:
    """Share out the scratch memory, in whole cache lines, and tell how much of it is needed."""
    cdef Py_ssize_t taken = 0, level, c = work.n_channels, m = work.n_families * work.recurrence.n_moments
    if scratch != NULL:
        scratch = <double*> ((<size_t> scratch + 63) // 64 * 64)
    work.grid = <Grid*> _take(scratch, &taken, 8)
    work.r = _take(scratch, &taken, STRIDE)
    work.e = _take(scratch, &taken, STRIDE)
    work.gap = _take(scratch, &taken, STRIDE)
    work.inverse = _take(scratch, &taken, STRIDE)
    work.slope = _take(scratch, &taken, STRIDE)
    work.node = _take(scratch, &taken, 3 * STRIDE)
    work.y = _take(scratch, &taken, c * STRIDE)
    work.before = _take(scratch, &taken, c)
    work.last = _take(scratch, &taken, c)
    work.near = <Observed*> _take(scratch, &taken, 2 * c)
    work.jump_moments.extras = _take(scratch, &taken, 2 * c)
    work.kink_moments.extras = _take(scratch, &taken, 2 * c)
    work.jump_moments.sums = _take(scratch, &taken, c * m * MAX_LANES)
    work.kink_moments.sums = _take(scratch, &taken, c * m * MAX_LANES)
    work.jump_moments.totals = _take(scratch, &taken, c * m)
    work.kink_moments.totals = _take(scratch, &taken, c * m)
    work.columns = _take(scratch, &taken, work.integration.n_columns)
    work.local_sums = _take(scratch, &taken, c * MAX_LOCAL * MAX_LANES)
    work.local_moments = _take(scratch, &taken, c * MAX_LOCAL)
    work.kinks.r, work.kinks.e = work.r, work.e
    work.kinks.weights = _take(scratch, &taken, c * STRIDE)
    work.kinks.moments = &work.kink_moments
    work.kinks.count = 0
    for level in range(LEVELS):
        work.jumps[level].r = _take(scratch, &taken, STRIDE)
        work.jumps[level].e = _take(scratch, &taken, STRIDE)
        work.jumps[level].weights = _take(scratch, &taken, c * STRIDE)
        work.jumps[level].moments = &work.jump_moments
        work.jumps[level].count = 0
    work.jump_moments.used = work.kink_moments.used = False
    return taken


cdef void _clear(double* x, Py_ssize_t n) noexcept nogil:
    memset(x, 0, n * sizeof(double))
