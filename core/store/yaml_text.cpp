// SPDX-License-Identifier: Apache-2.0
#include "core/store/yaml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

namespace vfskit::store {

namespace {

// Mean nothing to YAML wherever they stand in a plain scalar.
constexpr ByteSet inert_chars{"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789/._-+@~"};

bool is_ascii_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string lower(std::string_view text) {
    std::string result{text};
    for (char& c : result) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return result;
}

// Words that YAML 1.1 or the 1.2 core schema resolve to a boolean or null.
bool is_resolved_word(std::string_view text) {
    constexpr std::array<std::string_view, 9> words{
        "y", "n", "yes", "no", "true", "false", "on", "off", "null"};
    return text.size() <= 5 && std::find(words.begin(), words.end(), lower(text)) != words.end();
}

struct CodePoint {
    std::uint32_t value = 0;
    std::size_t size = 1;
};

// The code point at the beginning of `text`, which is valid UTF-8 and not empty.
CodePoint first_code_point(std::string_view text) {
    const auto byte = [&](std::size_t i) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
    };
    const std::uint32_t lead = byte(0);
    if (lead < 0x80) {
        return {lead, 1};
    }
    if (lead < 0xE0) {
        return {((lead & 0x1FU) << 6U) | (byte(1) & 0x3FU), 2};
    }
    if (lead < 0xF0) {
        return {((lead & 0x0FU) << 12U) | ((byte(1) & 0x3FU) << 6U) | (byte(2) & 0x3FU), 3};
    }
    return {((lead & 0x07U) << 18U) | ((byte(1) & 0x3FU) << 12U) | ((byte(2) & 0x3FU) << 6U) |
                (byte(3) & 0x3FU),
            4};
}

// YAML 1.2, 5.1 c-printable, less what YAML 1.1 takes for a line break (NEL, LS, PS), the byte
// order mark, and the tab, which editors like to turn into blanks.
bool is_printable(std::uint32_t c) {
    return (c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c <= 0xD7FF && c != 0x2028 && c != 0x2029) ||
           (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF) || c >= 0x10000;
}

bool is_printable(std::string_view text) {
    // Most text is ASCII.
    if (std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7E; })) {
        return true;
    }
    while (!text.empty()) {
        const auto c = first_code_point(text);
        if (!is_printable(c.value)) {
            return false;
        }
        text.remove_prefix(c.size);
    }
    return true;
}

std::string in_single_quotes(std::string_view text) {
    std::string result = "'";
    for (const char c : text) {
        result += c;
        if (c == '\'') {
            result += c;
        }
    }
    return result + "'";
}

std::string in_double_quotes(std::string_view text) {
    std::string result = "\"";
    while (!text.empty()) {
        const auto c = first_code_point(text);
        if (c.value == '"' || c.value == '\\') {
            result += '\\';
            result += static_cast<char>(c.value);
        } else if (c.value == '\t') {
            result += "\\t";
        } else if (c.value == '\n') {
            result += "\\n";
        } else if (!is_printable(c.value)) {
            result += c.value <= 0xFF ? fmt::format("\\x{:02x}", c.value)
                                      : fmt::format("\\u{:04x}", c.value);
        } else {
            result += text.substr(0, c.size);
        }
        text.remove_prefix(c.size);
    }
    return result + "\"";
}

void append_utf8(std::string& out, std::uint32_t c) {
    const auto tail = [](std::uint32_t bits) { return static_cast<char>(0x80U | (bits & 0x3FU)); };
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += {static_cast<char>(0xC0U | (c >> 6U)), tail(c)};
    } else if (c < 0x10000) {
        out += {static_cast<char>(0xE0U | (c >> 12U)), tail(c >> 6U), tail(c)};
    } else {
        out += {static_cast<char>(0xF0U | (c >> 18U)), tail(c >> 12U), tail(c >> 6U), tail(c)};
    }
}

// YAML 1.2, 5.7: the escapes of one character.
std::optional<std::uint32_t> named_escape(char name) {
    constexpr std::array<std::pair<char, std::uint32_t>, 17> escapes{{
        {'0', 0x00},
        {'a', 0x07},
        {'b', 0x08},
        {'t', 0x09},
        {'n', 0x0A},
        {'v', 0x0B},
        {'f', 0x0C},
        {'r', 0x0D},
        {'e', 0x1B},
        {' ', 0x20},
        {'"', 0x22},
        {'/', 0x2F},
        {'\\', 0x5C},
        {'N', 0x85},
        {'_', 0xA0},
        {'L', 0x2028},
        {'P', 0x2029},
    }};
    const auto* found = std::find_if(
        escapes.begin(), escapes.end(), [&](const auto& escape) { return escape.first == name; });
    return found == escapes.end() ? std::nullopt : std::optional{found->second};
}

std::size_t hex_digits(char name) {
    return name == 'x' ? 2 : name == 'u' ? 4 : name == 'U' ? 8 : 0;
}

// Appends the escape whose name is at text[at] to `out`; gives the position behind it.
std::optional<std::size_t> decode_escape(std::string_view text, std::size_t at, std::string& out) {
    if (at >= text.size()) {
        return std::nullopt;
    }
    const std::size_t digits = hex_digits(text[at]);
    if (digits == 0) {
        const auto value = named_escape(text[at]);
        if (!value) {
            return std::nullopt;
        }
        append_utf8(out, *value);
        return at + 1;
    }
    if (text.size() - at - 1 < digits) {
        return std::nullopt;
    }
    std::uint32_t value = 0;
    const char* first = text.data() + at + 1;
    const auto parsed = std::from_chars(first, first + digits, value, 16);
    const bool is_surrogate = value >= 0xD800 && value <= 0xDFFF;
    if (parsed.ec != std::errc{} || parsed.ptr != first + digits || is_surrogate ||
        value > 0x10FFFF) {
        return std::nullopt;
    }
    append_utf8(out, value);
    return at + 1 + digits;
}

std::optional<std::string> decode_double(std::string_view raw) {
    std::string result;
    for (std::size_t at = 0; at < raw.size();) {
        if (raw[at] != '\\') {
            result += raw[at++];
            continue;
        }
        const auto next = decode_escape(raw, at + 1, result);
        if (!next) {
            return std::nullopt;
        }
        at = *next;
    }
    return result;
}

std::string decode_single(std::string_view raw) {
    std::string result;
    for (std::size_t at = 0; at < raw.size(); ++at) {
        result += raw[at];
        at += raw[at] == '\'' ? 1U : 0U;
    }
    return result;
}

std::optional<QuotedScalar>
scan_single(std::string_view text, std::size_t begin, std::size_t limit) {
    bool has_doubled = false;
    for (std::size_t at = begin; at < limit; ++at) {
        if (text[at] != '\'') {
            continue;
        }
        if (at + 1 < limit && text[at + 1] == '\'') {
            has_doubled = true;
            ++at;
            continue;
        }
        QuotedScalar scalar{at + 1, text.substr(begin, at - begin), std::nullopt};
        if (has_doubled) {
            scalar.decoded = decode_single(scalar.raw);
        }
        return scalar;
    }
    return std::nullopt;
}

std::optional<QuotedScalar>
scan_double(std::string_view text, std::size_t begin, std::size_t limit) {
    bool has_escape = false;
    for (std::size_t at = begin; at < limit; ++at) {
        if (text[at] == '\\') {
            has_escape = true;
            ++at;
        } else if (text[at] == '"') {
            QuotedScalar scalar{at + 1, text.substr(begin, at - begin), std::nullopt};
            if (has_escape) {
                scalar.decoded = decode_double(scalar.raw);
                if (!scalar.decoded) {
                    return std::nullopt;
                }
            }
            return scalar;
        }
    }
    return std::nullopt;
}

} // namespace

bool is_plain_in_flow(char c) {
    return inert_chars.has(c) || c == ' ' || static_cast<unsigned char>(c) >= 0x80;
}

bool is_plain_safe(std::string_view text, bool in_flow) {
    if (text.empty() || !(is_ascii_letter(text.front()) || text.front() == '/') ||
        is_resolved_word(text)) {
        return false;
    }
    if (std::all_of(text.begin(), text.end(), [](char c) { return inert_chars.has(c); })) {
        return true;
    }
    if (text.back() == ' ' || text.back() == ':' || !is_printable(text)) {
        return false;
    }
    return text.find(": ") == std::string_view::npos && text.find(" #") == std::string_view::npos &&
           (!in_flow || std::all_of(text.begin(), text.end(), is_plain_in_flow));
}

std::string encode_scalar(std::string_view text, QuoteStyle wish, bool in_flow) {
    if (wish == QuoteStyle::plain && is_plain_safe(text, in_flow)) {
        return std::string{text};
    }
    return wish == QuoteStyle::single_quotes && is_printable(text) ? in_single_quotes(text)
                                                                   : in_double_quotes(text);
}

std::optional<QuotedScalar> scan_quoted(std::string_view text, std::size_t at, std::size_t limit) {
    return text[at] == '\'' ? scan_single(text, at + 1, limit) : scan_double(text, at + 1, limit);
}

} // namespace vfskit::store
