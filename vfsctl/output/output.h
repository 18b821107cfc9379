// SPDX-License-Identifier: Apache-2.0
// Where a verb's results go: a table or a text for people, one JSON document for programs.
#pragma once

#include "core/base/result.h"
#include "core/base/text.h"
#include "vfsctl/exit_code.h"

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>

namespace vfskit::vfsctl {

enum class Color { none, red, green, yellow, bold, faint };

/// The colour of a finding: both Severity enums begin with note and warning and end with the worst.
template <class Severity>
constexpr Color color_of(Severity severity) {
    return severity == Severity::note      ? Color::faint
           : severity == Severity::warning ? Color::yellow
                                           : Color::red;
}

struct OutputStyle {
    bool json = false;
    bool quiet = false;
    bool color_out = false; ///< standard output may hold colours
    bool color_err = false;
    std::size_t columns = 0; ///< width to clip tables to; 0: none
};

/// Writes to the two streams it was given; does not own them. One thread.
class Output {
public:
    Output(std::ostream& out, std::ostream& err, OutputStyle style)
        : out_{out}, err_{err}, style_{style} {}

    [[nodiscard]] bool is_json() const { return style_.json; }
    [[nodiscard]] std::size_t columns() const { return style_.columns; }

    /// The result itself, on standard output, also with --quiet.
    void print(std::string_view text);
    /// The result as a JSON document.
    void print_json(const nlohmann::ordered_json& document);
    /// "Added mapping 'media'": left out with --quiet and with --json.
    void say(std::string_view sentence);
    /// A sentence on standard error that is no failure; left out with --quiet.
    void warn(std::string_view sentence);
    /// The failure that ends the verb, on standard error: a line, or an object with --json.
    void fail(const Error& error, ExitCode code);

    /// `text` in a colour where standard output may hold colours.
    [[nodiscard]] std::string paint(Color color, std::string_view text) const;

private:
    std::ostream& out_;
    std::ostream& err_;
    OutputStyle style_;
};

/// `text` between the escapes of `color`; as it is for Color::none.
std::string paint_text(Color color, std::string_view text);

/// Bytes from a store or a peer made safe for a terminal: control characters as \xNN, and what is
/// not UTF-8 read as Latin-1, as Proxmox VE reads its files.
std::string printable(std::string_view bytes);

/// With a full stop at its end, unless it ends as a sentence already.
std::string with_full_stop(std::string sentence);

using base::to_utf8;

} // namespace vfskit::vfsctl
