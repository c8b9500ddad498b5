"""What runs inside an environment: the agent (pid 1) and its file operations. Standard library only, nothing imported from the runtime."""
