// SPDX-License-Identifier: Apache-2.0
// Owners for libxml2's objects. libxml2's headers stay in our .cpp files: its types are only named
// here.
#pragma once

#include <memory>
#include <string>

// libxml2's own names for its structs.
// NOLINTBEGIN(bugprone-reserved-identifier)
struct _xmlParserCtxt;
struct _xmlDoc;
struct _xmlError;
struct _xmlRelaxNG;
struct _xmlRelaxNGParserCtxt;
struct _xmlRelaxNGValidCtxt;
// NOLINTEND(bugprone-reserved-identifier)

namespace vfskit::domain::xml {

struct LibxmlDeleter {
    void operator()(_xmlParserCtxt* value) const;
    void operator()(_xmlDoc* value) const;
    void operator()(_xmlRelaxNG* value) const;
    void operator()(_xmlRelaxNGParserCtxt* value) const;
    void operator()(_xmlRelaxNGValidCtxt* value) const;
};

template <class T>
using LibxmlPtr = std::unique_ptr<T, LibxmlDeleter>;

/// libxml2's message without the line feed that it ends with; for null a sentence that says so.
std::string message_of(const _xmlError* error);

} // namespace vfskit::domain::xml
