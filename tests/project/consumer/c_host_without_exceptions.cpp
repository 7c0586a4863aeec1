// A host that is compiled without exceptions and without RTTI: the C interface serves it.
#include "c_host.c"
