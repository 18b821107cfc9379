// SPDX-License-Identifier: Apache-2.0
// Owners for libxml2's objects.
#pragma once

#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <libxml/tree.h>

#include <memory>
#include <string>

namespace vfskit::domain::xml {

struct LibxmlDeleter {
    void operator()(xmlParserCtxt* value) const { xmlFreeParserCtxt(value); }
    void operator()(xmlDoc* value) const { xmlFreeDoc(value); }
    void operator()(xmlRelaxNGParserCtxt* value) const { xmlRelaxNGFreeParserCtxt(value); }
    void operator()(xmlRelaxNG* value) const { xmlRelaxNGFree(value); }
    void operator()(xmlRelaxNGValidCtxt* value) const { xmlRelaxNGFreeValidCtxt(value); }
};

template <class T>
using LibxmlPtr = std::unique_ptr<T, LibxmlDeleter>;

/// libxml2's message without the line feed that it ends with.
std::string message_of(const xmlError* error);

} // namespace vfskit::domain::xml
