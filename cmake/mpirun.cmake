# How tests start ranks: as root too, on fewer cores than ranks, and without a shell to log in to.
find_package(MPI REQUIRED COMPONENTS CXX)
set(halnorm_mpirun
    "${MPIEXEC_EXECUTABLE}" --allow-run-as-root --oversubscribe --mca plm isolated
    --mca btl_vader_single_copy_mechanism none
)
