/* nsz needs: base */
/* Compressed weights (netspec's .nsz): symbols of a codebook for each tensor, coded by interleaved rANS (Duda 2013, arXiv:1311.2540). */
typedef struct { const char *name; size_t count; } NszTensor;
typedef struct { const uint8_t *at, *end; int bad; } Nsz; /* bytes that are still to be read, and whether any were missing */

static const uint8_t *nsz_take(Nsz *s, size_t n) {
  const uint8_t *at = s->at;
  if (s->bad || n > (size_t)(s->end - at)) return s->bad = 1, (const uint8_t *)NULL;
  s->at += n;
  return at;
}

static uint32_t nsz_fixed(Nsz *s, int bytes) {
  const uint8_t *at = nsz_take(s, (size_t)bytes);
  uint32_t found = 0;
  for (int i = 0; at && i < bytes; i++) found |= (uint32_t)at[i] << (8 * i);
  return found;
}

/* A number of 7 bits a byte, lowest first. */
static size_t nsz_number(Nsz *s) {
  uint64_t found = 0;
  for (int shift = 0; shift < 63; shift += 7) {
    const uint32_t byte = nsz_fixed(s, 1);
    found |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return found <= SIZE_MAX ? (size_t)found : (s->bad = 1, (size_t)0);
  }
  return s->bad = 1, (size_t)0;
}

static uint32_t nsz_crc(const uint8_t *at, size_t n) {
  uint32_t crc = ~(uint32_t)0;
  for (size_t i = 0; i < n; i++) {
    crc ^= at[i];
    for (int k = 0; k < 8; k++) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1)));
  }
  return ~crc;
}

static float nsz_float(const uint8_t *at, int half) {
  uint32_t bits = (uint32_t)at[0] | (uint32_t)at[1] << 8;
  float found;
  if (half) {
    const uint32_t sign = (bits & 0x8000) << 16, power = bits >> 10 & 31, part = bits & 1023;
    if (!power) return (sign ? -1.0f : 1.0f) * (float)part / 16777216.0f;
    bits = sign | (power == 31 ? 255 : power + 112) << 23 | part << 13;
  } else {
    bits |= (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
  }
  memcpy(&found, &bits, sizeof found);
  return found;
}

/* How often of 16384 times each of `kinds` symbols comes; returns whether that can be. */
static int nsz_frequencies(Nsz *s, int kinds, uint32_t *often) {
  const uint32_t form = nsz_fixed(s, 1);
  const uint8_t *table = form == 1 || form == 2 ? nsz_take(s, (size_t)(form == 2 ? kinds : (kinds + 1) / 2)) : NULL;
  uint64_t sum = 0;
  int left = 16384;
  if (s->bad) return 0;
  for (int k = 0; k < kinds; k++) {
    uint32_t byte = form == 0 ? 16 : !table ? 0 : form == 2 ? table[k] : table[k / 2] >> (k % 2 * 4) & 15;
    if (form == 1 && byte) byte = 16 + byte / 2 * 16 + byte % 2 * 8;
    often[k] = byte ? (16 + byte % 16) << (byte / 16) : 0;
    sum += often[k];
  }
  if (!sum) return 0;
  for (int k = 0; k < kinds; k++) {
    const uint32_t share = (uint32_t)((uint64_t)often[k] * 16384 / sum);
    often[k] = often[k] && !share ? 1 : share;
    left -= (int)often[k];
  }
  for (; left; left += left > 0 ? -1 : 1) {
    int most = 0;
    for (int k = 1; k < kinds; k++) most = often[k] > often[most] ? k : most;
    if (left < 0 && !often[most]) return 0;
    often[most] += left > 0 ? 1u : ~0u;
  }
  return 1;
}

/* Puts `count` symbols' values into w; `rest` is memory for 65536 lanes and 16384 bytes. */
static int nsz_symbols(Nsz *s, size_t count, int kinds, const float *values, float *w, float *rest) {
  uint32_t often[256], start[256], *state = (uint32_t *)(void *)rest;
  uint8_t *symbol_at = (uint8_t *)(state + 65536);
  if (!nsz_frequencies(s, kinds, often)) return 0;
  uint32_t sum = 0;
  for (int k = 0; k < kinds; k++) {
    if (often[k] == 16384) {
      for (size_t i = 0; i < count; i++) w[i] = values[k];
      return 1;
    }
    start[k] = sum;
    memset(symbol_at + sum, k, often[k]);
    sum += often[k];
  }
  const size_t lanes = nsz_number(s);
  if (s->bad || !lanes || lanes > count || lanes > 65536) return 0;
  for (size_t l = 0; l < lanes; l++) state[l] = nsz_fixed(s, 4);
  size_t words = nsz_number(s);
  for (size_t i = 0, l = 0; i < count; i++, l = l + 1 == lanes ? 0 : l + 1) {
    const uint32_t slot = state[l] & 16383, k = symbol_at[slot];
    w[i] = values[k];
    state[l] = often[k] * (state[l] >> 14) + slot - start[k];
    if (state[l] >= 65536) continue;
    if (!words--) return 0;
    state[l] = state[l] << 16 | nsz_fixed(s, 2);
  }
  for (size_t l = 0; l < lanes; l++) s->bad |= state[l] != 65536;
  return !s->bad && !words;
}

static int nsz_tensor(Nsz *s, int kind, size_t count, float *w, float *rest) {
  const int half = kind & 1, bytes = half ? 2 : 4;
  if (kind < 2) {
    if (count > SIZE_MAX / 4) return 0;
    const uint8_t *at = nsz_take(s, count * (size_t)bytes);
    for (size_t i = 0; at && i < count; i++) w[i] = nsz_float(at + i * (size_t)bytes, half);
    return !s->bad;
  }
  const size_t kinds = nsz_number(s);
  float values[256] = {0, 1};
  if (s->bad || !kinds || kinds > 256 || !count || (kind >= 4 && kinds > 2)) return 0;
  if (kind < 4) {
    const uint8_t *at = nsz_take(s, (kinds - 1) * (size_t)bytes);
    for (size_t k = 1; at && k < kinds; k++) values[k] = nsz_float(at + (k - 1) * (size_t)bytes, half);
  }
  if (s->bad || !nsz_symbols(s, count, (int)kinds, values, w, rest)) return 0;
  for (size_t i = 0; kind >= 4 && i < count; i++) {
    const uint8_t *at = w[i] > 0 ? nsz_take(s, (size_t)bytes) : NULL;
    if (s->bad) return 0;
    w[i] = at ? nsz_float(at, half) : 0;
  }
  return 1;
}

/* Takes the name of a tensor, which is that of its layer, a point and one of four or its own; returns whether it is `name`. */
static int nsz_named(Nsz *s, const char *path, int which, const char *name) {
  static const char *const known[] = {"weight", "bias", "running_mean", "running_var"};
  size_t n = which < 4 ? strlen(known[which]) : nsz_number(s), length = strlen(path);
  const char *own = which < 4 ? known[which] : (const char *)nsz_take(s, n);
  if (s->bad || strncmp(name, path, length)) return 0;
  if (length && name[length++] != '.') return 0;
  return strlen(name + length) == n && !memcmp(name + length, own, n);
}

/* Puts the tensors of a file into w, one behind the other; returns whether they are those that are wanted, and sound. */
static int nsz_read(const void *data, size_t size, const NszTensor *wanted, size_t tensors, float *w, size_t floats) {
  const uint8_t *begin = data;
  Nsz head = {begin, begin + size, 0}, body = head;
  char path[1024] = "";
  size_t next = 0, total = 0;
  const uint8_t *magic = nsz_take(&head, 4);
  if (!magic || memcmp(magic, "nsz\1", 4) || nsz_fixed(&head, 4) != size) return 0;
  for (int i = 0; i < 2; i++) nsz_take(&head, nsz_number(&head));
  const size_t layers = nsz_number(&head);
  const Nsz first = head;
  for (int pass = 0; pass < 2; pass++) { /* the first one finds where the data begins */
    head = first;
    *path = 0;
    for (size_t l = 0; l < layers && !head.bad; l++) {
      size_t shared = nsz_number(&head), rest = nsz_number(&head), keep = 0;
      const uint8_t *more = nsz_take(&head, rest);
      for (; path[keep] && (shared || (path[keep] & 0xC0) == 0x80); keep++) shared -= (path[keep] & 0xC0) != 0x80;
      if (!more || rest >= sizeof path - keep) return 0;
      memcpy(path + keep, more, rest);
      path[keep + rest] = 0;
      const size_t bytes = nsz_number(&head);
      const uint32_t check = nsz_fixed(&head, 4);
      const size_t inside = nsz_number(&head);
      const uint8_t *at = pass ? nsz_take(&body, bytes) : NULL;
      Nsz part = {at, at ? at + bytes : NULL, 0};
      if (pass && (!at || nsz_crc(at, bytes) != check)) return 0;
      for (size_t t = 0; t < inside; t++) {
        const uint32_t kind = nsz_fixed(&head, 1);
        if (head.bad || kind / 8 >= 6 || kind % 8 > 4 || next >= tensors) return 0;
        if (!nsz_named(&head, path, (int)(kind % 8), wanted[next].name)) return 0;
        size_t count = 1, dimensions = nsz_number(&head);
        for (size_t d = 0; d < dimensions && !head.bad; d++) {
          const size_t n = nsz_number(&head);
          if (n && count > wanted[next].count / n) return 0;
          count *= n;
        }
        if (head.bad || count != wanted[next].count || count > floats - total) return 0;
        if (pass && !nsz_tensor(&part, (int)(kind / 8), count, w + total, w + floats)) return 0;
        total += count, next++;
      }
      if (part.at != part.end) return 0;
    }
    if (head.bad || next != tensors || total != floats) return 0;
    if (!pass) {
      const size_t length = (size_t)(head.at - begin);
      if (nsz_crc(begin, length) != nsz_fixed(&head, 4) || head.bad) return 0;
      body = head;
      next = total = 0;
    }
  }
  return body.at == body.end;
}
