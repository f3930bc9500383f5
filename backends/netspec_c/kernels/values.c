/* square_window needs: base */
#define WINDOW(kernel, step, padding) ((Window){kernel, kernel, step, step, padding, padding, 1, 1})
/* vector needs: base */
INLINE Plain vector(Blocks v) { return (Plain){v.at, v.c, v.h, v.w}; }
/* learned needs: each */
UNUSED static void learned(const Run *r, Blocks y, const float *w) {
  (void)r;
  memcpy(y.at, w, floats_of(y) * sizeof *w);
}
