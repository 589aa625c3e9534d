//go:build race

package media

// raceDetector: its own work allocates.
const raceDetector = true
