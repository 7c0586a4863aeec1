# Fails if the library's own objects call functions that end the process or print, or have
# destructors that run when the process or a thread ends.
# cmake -D nm=<nm> -D library=<libhalnorm.a> -P symbols_test.cmake

execute_process(
  COMMAND "${nm}" --undefined-only --format=posix "${library}"
  OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY
)
if(NOT listing MATCHES "\\[batch_norm\\.cpp\\.o\\]" OR NOT listing MATCHES "\n__cxa_throw U")
  message(FATAL_ERROR "${library} lacks the objects and symbols that it surely has:\n${listing}")
endif()
set(forbidden "abort|exit|_exit|_Exit|quick_exit|v?f?printf|__v?f?printf_chk|puts|fputs|putchar")
string(APPEND forbidden "|_ZSt4cout|_ZSt4cerr|_ZSt4clog")
string(REGEX MATCHALL "\n(${forbidden}) U" found "${listing}")
if(found)
  message(FATAL_ERROR "${library} refers to:${found}")
endif()
# The registration of a thread_local's destructor needs memory; without it the C library aborts.
if(listing MATCHES "\n__cxa_thread_atexit[a-z_]* U")
  message(FATAL_ERROR "${library} has a thread_local with a destructor")
endif()
# Destructors of the program's globals may call the library too, so that only the threads may be
# destroyed before them.
string(REGEX MATCHALL "\\[[^]]+\\]:[^[]*\n__cxa_atexit U" destroyed "${listing}")
list(FILTER destroyed EXCLUDE REGEX "^\\[process\\.cpp\\.o\\]")
if(destroyed)
  message(FATAL_ERROR "${library} has statics with destructors:${destroyed}")
endif()
