#pragma once

// White space as the C locale has it.
bool is_space(char character);
