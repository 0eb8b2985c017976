/* C += A W, with few rows of A at a time and the same W in every step: it is packed once. See each_simd.h. */

#define TILE_ROWS (LANES == 8 ? 8 : 4)
#define TILE_VECTORS (LANES > 2 ? 3 : 2)

typedef REAL FN(vector) __attribute__((vector_size(8 * LANES), aligned(sizeof(REAL)), may_alias));

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
WIDE static inline __attribute__((always_inline)) void FN(tile)(const int m, ptrdiff_t inner, const REAL *A,
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

WIDE static void FN(multiply)(ptrdiff_t rows, ptrdiff_t inner, ptrdiff_t columns, const REAL *A, const REAL *packed,
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

#undef TILE_ROWS
#undef TILE_VECTORS
