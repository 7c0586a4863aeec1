// A host that is compiled without exceptions and without RTTI uses the C interface.
#include "c_host.c"
