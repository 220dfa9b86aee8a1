#include "metric_lines.hpp"

#include <charconv>
#include <cmath>
#include <cstring>

namespace qmltrain {
namespace {

constexpr std::size_t kLongest = 24;  // "-1.2345678901234567e-308"; an integer has at most 20 characters

char* put(char* out, const char* text, std::size_t length) {
  std::memcpy(out, text, length);
  return out + length;
}

char* zeros(char* out, int count) {
  std::memset(out, '0', std::size_t(count));
  return out + count;
}

// The digits are the fewest that come back as the same number, as everywhere since Steele and White; to_chars finds
// them. Python's own rule is when they are written with an exponent: below 1e-4, and from 1e16 on.
char* put_number(char* out, double value) {
  if (!std::isfinite(value)) return put(out, "null", 4);
  if (std::signbit(value)) *out++ = '-';
  char text[32];  // d.ddde-dd: with two digits of exponent or more, like Python
  const char* end = std::to_chars(text, text + sizeof text, std::fabs(value), std::chars_format::scientific).ptr;
  const char* mark = end - 1;
  while (*mark != 'e') mark--;
  int exponent = 0;
  for (const char* digit = mark + 2; digit < end; digit++) exponent = 10 * exponent + (*digit - '0');
  if (mark[1] == '-') exponent = -exponent;
  if (exponent < -4 || exponent >= 16) return put(out, text, std::size_t(end - text));

  const char first = text[0];
  const char* rest = text + 2;  // what is behind the point
  const int n_rest = mark - text > 1 ? int(mark - rest) : 0;
  if (exponent < 0) {
    out = zeros(put(out, "0.", 2), -exponent - 1);
    *out++ = first;
    return put(out, rest, std::size_t(n_rest));
  }
  *out++ = first;
  const int whole = n_rest < exponent ? n_rest : exponent;  // of the rest, before the point
  out = zeros(put(out, rest, std::size_t(whole)), exponent - whole);
  *out++ = '.';
  return n_rest > whole ? put(out, rest + whole, std::size_t(n_rest - whole)) : zeros(out, 1);
}

}  // namespace

std::string metric_lines(const std::vector<std::string>& before, const std::vector<LineColumn>& columns,
                         std::size_t rows) {
  std::size_t longest = 2;
  for (const std::string& text : before) longest += text.size() + kLongest;
  std::string lines(rows * longest, '\0');
  char* out = lines.data();
  for (std::size_t row = 0; row < rows; row++) {
    for (std::size_t i = 0; i < columns.size(); i++) {
      out = put(out, before[i].data(), before[i].size());
      const LineColumn& column = columns[i];
      if (column.integers)
        out = std::to_chars(out, out + kLongest, column.integers[row]).ptr;
      else
        out = put_number(out, column.numbers[row]);
    }
    out = put(out, "}\n", 2);
  }
  lines.resize(std::size_t(out - lines.data()));
  return lines;
}

}  // namespace qmltrain
