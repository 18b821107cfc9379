// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/output/output.h"

#include "core/base/text.h"
#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace vfskit::vfsctl {

namespace {

std::string_view escape_of(Color color) {
    switch (color) {
    case Color::none:
        return "";
    case Color::red:
        return "\033[31m";
    case Color::green:
        return "\033[32m";
    case Color::yellow:
        return "\033[33m";
    case Color::bold:
        return "\033[1m";
    case Color::faint:
        return "\033[2m";
    }
    return "";
}

} // namespace

std::string with_full_stop(std::string sentence) {
    const bool ends = sentence.ends_with('.') || sentence.ends_with('?') || sentence.ends_with('!');
    return ends ? sentence : sentence + ".";
}

std::string paint_text(Color color, std::string_view text) {
    return color == Color::none ? std::string{text}
                                : fmt::format("{}{}\033[0m", escape_of(color), text);
}

std::string printable(std::string_view bytes) {
    const auto is_control = [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    };
    std::string utf8 = to_utf8(bytes);
    if (std::ranges::none_of(utf8, is_control)) {
        return utf8;
    }
    std::string text;
    for (const char c : utf8) {
        if (is_control(c)) {
            text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
            text += c;
        }
    }
    return text;
}

void Output::print(std::string_view text) {
    out_ << text;
}

void Output::print_json(const nlohmann::ordered_json& document) {
    out_ << to_text(document) << '\n';
}

void Output::say(std::string_view sentence) {
    if (!style_.quiet && !style_.json) {
        out_ << sentence << '\n';
    }
}

void Output::warn(std::string_view sentence) {
    if (!style_.quiet) {
        const auto label = style_.color_err ? paint_text(Color::yellow, "warning:") : "warning:";
        err_ << "vfsctl: " << label << ' ' << with_full_stop(printable(sentence)) << '\n';
    }
}

void Output::fail(const Error& error, ExitCode code) {
    if (style_.json) {
        err_ << to_text(error_document(error, code)) << '\n';
        return;
    }
    const auto name = style_.color_err ? paint_text(Color::red, "vfsctl:") : "vfsctl:";
    err_ << name << ' ' << with_full_stop(printable(error.describe())) << '\n';
}

std::string Output::paint(Color color, std::string_view text) const {
    return style_.color_out ? paint_text(color, text) : std::string{text};
}

} // namespace vfskit::vfsctl
