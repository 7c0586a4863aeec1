# How tests start ranks: as root too, on fewer cores than ranks, and without a shell to log in to.
find_package(MPI REQUIRED COMPONENTS CXX)
set(halnorm_mpirun
    "${MPIEXEC_EXECUTABLE}" --allow-run-as-root --oversubscribe --mca plm isolated
    --mca btl_vader_single_copy_mechanism none
)
# For sanitizers. Full stacks, since OpenMPI's modules are unloaded when leaks are looked for.
set(halnorm_mpi_environment
    "ASAN_OPTIONS=string_append::fast_unwind_on_malloc=0"
    "LSAN_OPTIONS=set:suppressions=${PROJECT_SOURCE_DIR}/tests/distributed/mpi/leak_sanitizer.supp"
)
