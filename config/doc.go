// Package config is sipgo.yaml as plain data: it loads the file and the environment, fills in the defaults,
// reports every mistake at once with its file, line, key and what is allowed, and says what changed between
// two configurations.
//
// cmd loads it; everything else receives values out of it. It imports none of our packages, opens no socket,
// resolves no name and starts nothing: Load reads the files it is told to read, and that is all.
package config
